from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlmodel import Field

from domain.rows import JSON, TIMESTAMP, Record, enum_type


class LocalListPolicy(StrEnum):
    """What a station's list is to hold. OFF: nothing, and what it held is taken out once."""

    OFF = "OFF"
    ALL_TOKENS = "ALL_TOKENS"


class LocalListStatus(StrEnum):
    """PENDING: to be looked at. CURRENT: as it should be. NOT_SUPPORTED: the station keeps no list. FAILED: it did not
    take it; tried again."""

    PENDING = "PENDING"
    CURRENT = "CURRENT"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    FAILED = "FAILED"


class UpdateType(StrEnum):
    FULL = "FULL"
    DIFFERENTIAL = "DIFFERENTIAL"


class LocalList(Record, table=True):
    """What a station keeps of tokens.

    `entries` are those that it has taken, by uid, with a fingerprint of what it was told of each; None where nobody
    knows, which only a full list mends. `version` goes with them; `wanted_version` is that of the last message that
    was to go out. `is_known`: nothing has happened since that leaves us in doubt. `due_at` is when it is to be looked
    at, `connection_at` the connection of the station that it was last looked at for.
    """

    __tablename__ = "local_list"

    station_id: UUID
    policy: LocalListPolicy = Field(default=LocalListPolicy.OFF, sa_type=enum_type(LocalListPolicy))
    status: LocalListStatus = Field(default=LocalListStatus.PENDING, sa_type=enum_type(LocalListStatus))
    version: int = 0
    wanted_version: int = 0
    entries: dict[str, str] | None = Field(default=None, sa_type=JSON)
    omitted: int = 0
    is_known: bool = False
    error: str | None = None
    attempts: int = 0
    due_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    connection_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    firmware_version: str | None = None
    updated_at: datetime = Field(sa_type=TIMESTAMP)

    @property
    def size(self) -> int | None:
        return None if self.entries is None else len(self.entries)
