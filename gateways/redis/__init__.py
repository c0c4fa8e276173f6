"""Redis or Valkey: the bus, presence, latest values, and the way to another process. Commands of Redis 7 only."""

from gateways.redis.answers import RedisAnswers as RedisAnswers
from gateways.redis.broadcast import RedisBroadcast as RedisBroadcast
from gateways.redis.budget import RedisBudget as RedisBudget
from gateways.redis.bus import RedisBus as RedisBus
from gateways.redis.latest import RedisLatest as RedisLatest
from gateways.redis.line import Patience as Patience
from gateways.redis.line import connect as connect
from gateways.redis.line import reachable as reachable
from gateways.redis.link import ClusterLink as ClusterLink
from gateways.redis.link import Holder as Holder
from gateways.redis.link import Order as Order
from gateways.redis.presence import RedisPresence as RedisPresence
from gateways.redis.refusals import RedisRefusals as RedisRefusals
from gateways.redis.routing import Router as Router
from gateways.redis.streams import Keeping as Keeping
