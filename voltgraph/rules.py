"""What the settings say of how the domain decides, by the port that asks for it."""

from datetime import timedelta
from typing import Any

from domain.commands import CommandRules
from domain.imports import ImportRules
from domain.points import PointRules
from domain.sessions import AuthorizationRules, SessionRules
from domain.station_log import StationLogRules
from domain.stations import StationRules
from domain.tenants import PointPolicy, UnknownPolicy
from voltgraph.settings import Settings


def rules(settings: Settings) -> dict[type[Any], Any]:
    return {
        ImportRules: ImportRules(
            at_once=settings.imports_per_tenant,
            max_bytes=settings.import_max_mb * 1_000_000,
            keep_days=settings.import_days,
        ),
        PointRules: PointRules(
            PointPolicy(settings.point_policy),
            settings.points_max,
            quarantined_for=timedelta(days=settings.quarantine_days),
            quarantined_max=settings.quarantine_max,
        ),
        StationRules: StationRules(
            unknown=UnknownPolicy(settings.station_policy),
            heartbeat_interval_s=settings.heartbeat_interval_s,
            pending_interval_s=settings.station_pending_interval_s,
            rejected_interval_s=settings.station_rejected_interval_s,
            boot_grace_s=settings.station_boot_grace_s,
            configuration_age=timedelta(days=settings.station_configuration_days),
        ),
        SessionRules: SessionRules(forgotten_after=timedelta(hours=settings.session_forgotten_h)),
        StationLogRules: StationLogRules(days=settings.station_log_days, heartbeats=settings.station_log_heartbeats),
        CommandRules: _command_rules(settings),
        AuthorizationRules: _authorization_rules(settings),
    }


def _command_rules(settings: Settings) -> CommandRules:
    return CommandRules(
        deadline_s=settings.command_deadline_s,
        queue_for_max_s=round(settings.command_queue_days * 86_400),
        queue_max=settings.command_queue_max,
        attempts_max=settings.command_attempts,
        retry_s=settings.command_retry_s,
        retry_max_s=settings.command_retry_max_s,
    )


def _authorization_rules(settings: Settings) -> AuthorizationRules:
    """For how long stations may remember an answer; 0 is for as long as they like."""
    remembered_s = settings.authorization_cache_s
    return AuthorizationRules(
        remembered_for=timedelta(seconds=remembered_s) if remembered_s else None,
        clears_caches=settings.authorization_clear_caches,
    )
