from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportRules:
    """What a tenant may have; a port that the settings fill. Bytes are of the file as it is when it is unpacked."""

    at_once: int = 4
    max_bytes: int = 4_000_000_000
    keep_days: int = 90  # the row of one that has ended
    max_points: int = 10_000  # that one file may name: a column taken for addresses would make one of every row
