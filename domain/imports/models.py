from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger
from sqlmodel import Field

from domain.imports.files import Column, RowError
from domain.rows import JSON, TIMESTAMP, Record, enum_type


class ImportStatus(StrEnum):
    """WAITING for its file, which may come again after INTERRUPTED. FAILED: this file cannot be imported."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    CANCELLED = "CANCELLED"


OPEN = (ImportStatus.WAITING, ImportStatus.INTERRUPTED)
ERRORS_MAX = 100


class Import(Record, table=True):
    """A file of readings on its way in. Of its errors the first ones are kept, all are counted in `failed`.

    `attempt` is of one upload: who has another one's has been overtaken. `updated_at` is a sign of life while RUNNING.
    """

    name: str | None = None
    actor: str
    layout: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    columns: list[dict[str, str]] | None = Field(default=None, sa_type=JSON)
    status: ImportStatus = Field(default=ImportStatus.WAITING, sa_type=enum_type(ImportStatus))
    attempt: UUID | None = None
    bytes_read: int = Field(default=0, sa_type=BigInteger)
    rows_read: int = Field(default=0, sa_type=BigInteger)
    recorded: int = Field(default=0, sa_type=BigInteger)
    failed: int = Field(default=0, sa_type=BigInteger)
    errors: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    error: str | None = None
    started_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)
    updated_at: datetime = Field(sa_type=TIMESTAMP)
    finished_at: datetime | None = Field(default=None, sa_type=TIMESTAMP)

    @property
    def upload_path(self) -> str | None:
        """Where its file is to be sent to, while it is waited for."""
        return f"/imports/{self.id}" if self.status in OPEN else None

    @property
    def read_columns(self) -> list[Column] | None:
        return None if self.columns is None else [Column(**column) for column in self.columns]

    @property
    def first_errors(self) -> list[RowError]:
        return [RowError(**error) for error in self.errors]
