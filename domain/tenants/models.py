from sqlmodel import Field

from domain.rows import Record


class Tenant(Record, table=True):
    """A customer organization. Its id is what every other row carries."""

    slug: str = Field(unique=True)
    name: str
    timezone: str = "UTC"
