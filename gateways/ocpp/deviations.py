"""What stations sent against the standard and was forgiven: counted always, told once."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import structlog
from prometheus_client import Counter

from gateways.ocpp.frames import Version

log = structlog.get_logger()

DEVIATIONS = Counter(
    "voltgraph_ocpp_deviations",
    "What stations sent against the standard and was forgiven",
    ["version", "action", "kind"],
)


@dataclass(frozen=True, slots=True)
class Deviation:
    kind: str
    path: str
    message: str


class DeviationLog:
    """Each deviation is counted always and told once per station, action and path, for stations repeat themselves."""

    def __init__(self, *, remembered: int = 20_000) -> None:
        self._told: OrderedDict[tuple[UUID, str, str, str], None] = OrderedDict()
        self._remembered = remembered

    def note(
        self,
        deviations: Iterable[Deviation],
        *,
        tenant_id: UUID,
        station_id: UUID,
        identity: str,
        version: Version,
        action: str,
    ) -> list[Deviation]:
        """Answers those that were told now."""
        told = []
        for deviation in deviations:
            DEVIATIONS.labels(version.number, action, deviation.kind).inc()
            key = (station_id, action, deviation.kind, deviation.path)
            if key in self._told:
                self._told.move_to_end(key)
                continue
            self._told[key] = None
            if len(self._told) > self._remembered:
                self._told.popitem(last=False)
            told.append(deviation)
            log.warning(
                "ocpp deviation tolerated",
                tenant=str(tenant_id),
                station=identity,
                action=action,
                kind=deviation.kind,
                path=deviation.path,
                detail=deviation.message,
            )
        return told
