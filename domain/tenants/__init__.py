"""Customer organizations."""

from domain.tenants.models import Tenant as Tenant
from domain.tenants.queries import own as own
from domain.tenants.service import create as create
