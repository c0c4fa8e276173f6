"""People of a tenant."""

from domain.users.models import User as User
from domain.users.queries import by_ids as by_ids
