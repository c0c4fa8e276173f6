"""Tokens: who may charge."""

from domain.tokens.events import TokenChanged as TokenChanged
from domain.tokens.events import TokenGroupChanged as TokenGroupChanged
from domain.tokens.groups import delete_group as delete_group
from domain.tokens.groups import groups as groups
from domain.tokens.groups import master_keys as master_keys
from domain.tokens.groups import set_group as set_group
from domain.tokens.hours import Hours as Hours
from domain.tokens.hours import Weekday as Weekday
from domain.tokens.hours import until as until
from domain.tokens.models import IdTokenType as IdTokenType
from domain.tokens.models import Token as Token
from domain.tokens.models import TokenGroup as TokenGroup
from domain.tokens.models import TokenStatus as TokenStatus
from domain.tokens.models import TokenType as TokenType
from domain.tokens.models import status_at as status_at
from domain.tokens.models import uid_key as uid_key
from domain.tokens.models import valid_at as valid_at
from domain.tokens.queries import by_id as by_id
from domain.tokens.queries import by_ids as by_ids
from domain.tokens.queries import by_uid as by_uid
from domain.tokens.queries import find as find
from domain.tokens.queries import listed as listed
from domain.tokens.service import LOCATIONS_MAX as LOCATIONS_MAX
from domain.tokens.service import create as create
from domain.tokens.service import delete as delete
from domain.tokens.service import update as update
