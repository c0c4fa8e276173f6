"""Customer organizations."""

from domain.tenants.models import PointPolicy as PointPolicy
from domain.tenants.models import Tenant as Tenant
from domain.tenants.models import UnknownPolicy as UnknownPolicy
from domain.tenants.queries import own as own
from domain.tenants.service import create as create
from domain.tenants.service import set_history_days as set_history_days
from domain.tenants.service import set_point_rules as set_point_rules
from domain.tenants.service import set_station_policy as set_station_policy
