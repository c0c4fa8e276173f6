"""Where the points of stations stand: the first steps of their addresses."""

_UNPLACED = "unknown"


def address_of(identity: str, evse_number: int | None) -> str:
    """`station/<identity>/<evse>`; None where a station does not say which EVSE it speaks of."""
    return f"station/{identity}/{_UNPLACED if evse_number is None else evse_number}"
