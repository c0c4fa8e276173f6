import re
from dataclasses import dataclass
from datetime import timedelta

from domain.points.models import SeriesAggregation
from domain.tenants import PointPolicy

_INTERVAL = re.compile(r"station/[^/]+/[^/]+/Energy\.[^/@]+\.Interval(?:[@/].*)?")


@dataclass(frozen=True, slots=True)
class PointRules:
    """How this house makes points, where a tenant has no rule of its own, and how long what does not fit waits; a port
    that the settings fill."""

    unknown: PointPolicy = PointPolicy.AUTO
    points_max: int = 100_000
    quarantined_for: timedelta = timedelta(days=30)
    quarantined_max: int = 100_000


def aggregation_at(address: str) -> SeriesAggregation | None:
    """What the address says by itself: OCPP's `Energy.….Interval` is what passed since the reading before."""
    return SeriesAggregation.SUM if _INTERVAL.fullmatch(address) else None
