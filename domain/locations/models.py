from domain.rows import Record


class Location(Record, table=True):
    """A charging site (OCPI Location). Coordinates in degrees, WGS 84; country ISO 3166-1 alpha-3; time zone IANA."""

    name: str
    address: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None
    timezone: str | None = None
    latitude: float | None = None
    longitude: float | None = None
