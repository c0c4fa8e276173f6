from dataclasses import dataclass

from domain.tenants import PointPolicy


@dataclass(frozen=True, slots=True)
class PointRules:
    """How this house makes points, where a tenant has no rule of its own; a port that the settings fill."""

    unknown: PointPolicy = PointPolicy.AUTO
    points_max: int = 100_000
