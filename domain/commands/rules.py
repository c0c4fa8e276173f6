from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandRules:
    """How long orders wait, for an answer and for a station; a port that the settings fill."""

    deadline_s: float = 30.0  # for a station's answer
    queue_for_max_s: int = 7 * 24 * 3600
    queue_max: int = 100  # orders that wait for one station
    boot_grace_s: float = 10.0  # for a station that has connected and may be about to boot
    attempts_max: int = 10
    retry_s: float = 5.0  # after the first attempt; doubled after every further one
    retry_max_s: float = 600.0
