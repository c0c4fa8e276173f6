"""API secrets of machines."""

from domain.credentials.events import REVOCATIONS as REVOCATIONS
from domain.credentials.events import CredentialRevoked as CredentialRevoked
from domain.credentials.models import Credential as Credential
from domain.credentials.queries import by_ids as by_ids
from domain.credentials.queries import listed as listed
from domain.credentials.secrets import SecretKey as SecretKey
from domain.credentials.secrets import digest as digest
from domain.credentials.secrets import new_secret as new_secret
from domain.credentials.service import create as create
from domain.credentials.service import revoke as revoke
