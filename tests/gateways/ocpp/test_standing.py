"""What a station may say, by how it stands with us."""

import pytest

from domain.stations import Registration
from gateways.ocpp.frames import Fault, Version
from gateways.ocpp.standing import Standing

CHARGE = ["StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"]


def may_say(standing: Standing, action: str, version: Version = Version.V201) -> bool:
    try:
        standing.check(version, action)
    except Fault as fault:
        return fault.code != "SecurityError"
    return True


@pytest.mark.parametrize("registration", Registration)
@pytest.mark.parametrize("action", ["BootNotification", "SecurityEventNotification", *CHARGE])
def test_who_it_is_and_what_has_happened_may_always_be_told(registration: Registration, action: str) -> None:
    for version in Version:
        assert may_say(Standing(registration), action, version)


@pytest.mark.parametrize("action", ["StatusNotification", "NotifyReport", "Authorize", "DataTransfer", "Heartbeat"])
def test_everything_else_waits_for_acceptance(action: str) -> None:
    standing = Standing(Registration.PENDING)
    assert not may_say(standing, action)
    standing.told(Registration.REJECTED)
    assert not may_say(standing, action)
    standing.told(Registration.ACCEPTED)
    assert may_say(standing, action)


def test_in_16_a_card_is_answered_and_the_time_is_told() -> None:
    standing = Standing(Registration.PENDING)
    assert [may_say(standing, action, Version.V16) for action in ("Authorize", "Heartbeat", "StatusNotification")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("ours", "wanted", "theirs"),
    [
        ("TriggerMessage", "StatusNotification", "StatusNotification"),
        ("ExtendedTriggerMessage", "SignChargePointCertificate", "SignCertificate"),
        ("TriggerMessage", "SignV2GCertificate", "SignCertificate"),
        ("GetBaseReport", None, "NotifyReport"),
        ("GetLog", None, "LogStatusNotification"),
        ("UpdateFirmware", None, "FirmwareStatusNotification"),
    ],
)
def test_a_pending_station_may_say_what_it_was_asked_for(ours: str, wanted: str | None, theirs: str) -> None:
    standing = Standing(Registration.PENDING)
    standing.asked(ours, {"requestedMessage": wanted} if wanted else {})

    assert may_say(standing, theirs)
    assert not may_say(standing, "NotifyEvent")
    standing.told(Registration.REJECTED)
    assert not may_say(standing, theirs)
