"""Which PostgreSQL and Redis a command works on, and that the database's structure is this release's."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from voltgraph.embedded import Urls, attached, find, serving
from voltgraph.migrate import migrate_now, require_current
from voltgraph.settings import Settings, SettingsError

_PATIENCE_S = 5.0


class NoRedis(Exception):
    """The Redis that was named does not answer."""


@contextmanager
def owned(settings: Settings) -> Iterator[Settings]:
    """For a server: those that are named, else its own. `AlreadyRunning` beside another server."""
    with serving(settings) as urls:
        yield _ready(settings, urls, ours=not settings.database_url)


@contextmanager
def borrowed(settings: Settings) -> Iterator[Settings]:
    """For a command: those that are named, those of a running server, else its own for a moment."""
    ours = not settings.database_url and find(settings.data_dir) is None
    with attached(settings) as urls:
        yield _ready(settings, urls, ours=ours)


def _ready(settings: Settings, urls: Urls, *, ours: bool) -> Settings:
    """Only a database of our own is migrated unasked."""
    if settings.history != "postgres":
        raise SettingsError(f"VOLTGRAPH_HISTORY: {settings.history} is not in this release; postgres is")
    if ours:
        migrate_now(urls.database_owner, urls.database)
    else:
        require_current(urls.database)
    _require_redis(urls.redis)
    return settings.model_copy(
        update={
            "database_url": urls.database,
            "database_owner_url": urls.database_owner or None,
            "redis_url": urls.redis,
        }
    )


def _require_redis(url: str) -> None:
    """Later it may go and come back; one that is not there at the start is a wrong address."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=_PATIENCE_S, socket_timeout=_PATIENCE_S) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise NoRedis(f"VOLTGRAPH_REDIS_URL: Redis does not answer: {error}") from error
