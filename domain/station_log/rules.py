from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StationLogRules:
    """How long this house remembers what stations said; a port that the settings fill. 0 days: there is no log."""

    days: int = 7
    heartbeats: bool = True
