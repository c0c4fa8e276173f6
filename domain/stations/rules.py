from dataclasses import dataclass
from datetime import timedelta

from domain.stations.models import Registration
from domain.tenants import UnknownPolicy


@dataclass(frozen=True, slots=True)
class StationRules:
    """How this house treats stations, where a tenant has no rule of its own; a port that the settings fill."""

    unknown: UnknownPolicy = UnknownPolicy.REJECT
    heartbeat_interval_s: int = 60
    pending_interval_s: int = 60
    rejected_interval_s: int = 600
    boot_grace_s: float = 15.0  # for a station that has connected: then it is asked to boot; 0: it never is
    configuration_age: timedelta = timedelta(days=7)  # then it is read again at the next boot; 0: it never is

    def boot_interval_s(self, registration: Registration) -> int:
        """What BootNotification is answered: between heartbeats, or until the station asks again."""
        match registration:
            case Registration.PENDING:
                return self.pending_interval_s
            case Registration.REJECTED:
                return self.rejected_interval_s
        return self.heartbeat_interval_s
