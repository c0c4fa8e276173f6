from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandRules:
    """How long a caller waits for a station's answer; a port that the settings fill."""

    deadline_s: float = 30.0
