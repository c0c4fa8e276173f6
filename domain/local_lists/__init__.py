"""Local lists: what stations keep of tokens, to charge without asking us."""

from domain.local_lists.keeping import bring as bring
from domain.local_lists.keeping import keep as keep
from domain.local_lists.models import LocalList as LocalList
from domain.local_lists.models import LocalListPolicy as LocalListPolicy
from domain.local_lists.models import LocalListStatus as LocalListStatus
from domain.local_lists.models import UpdateType as UpdateType
from domain.local_lists.service import ask_version as ask_version
from domain.local_lists.service import by_station_ids as by_station_ids
from domain.local_lists.service import follow_station as follow_station
from domain.local_lists.service import follow_tokens as follow_tokens
from domain.local_lists.service import send_now as send_now
from domain.local_lists.service import set_policy as set_policy
