"""Keeps one station running: connected, registered, beating, heard; and reboots it when it is told to."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from gateways.sim.charger import Charger, Reset
from gateways.sim.mishaps import befall
from gateways.sim.outbox import Stage
from gateways.sim.outlet import Outlet, Reason
from gateways.sim.reservations import expire
from gateways.sim.wire import CallFailed, NoAnswer, Offline, quietly

DEFAULT_INTERVAL_S = 10.0
DRAIN_S = 5.0
ARRIVE_S = 1.0
REBOOT_S = 4.0
REASONS: dict[Reset | None, str] = {Reset.ON_IDLE: "ScheduledReset", Reset.POWER_LOSS: "PowerUp"}

Live = Callable[[Charger, Outlet], Coroutine[Any, Any, None]]


class _PowerCut(Exception):
    pass


async def run(charger: Charger, live: Live) -> None:
    """One turn of the loop is one time from power-up to power-cut; only cancellation ends it."""
    reason = "PowerUp"
    while True:
        with suppress(_PowerCut):
            await _powered(charger, live, reason)
        await asyncio.sleep(REBOOT_S / charger.speed)
        reason = REASONS.get(charger.resetting, "RemoteReset")
        charger.resetting = None
        charger.reset_due.clear()


async def finish(charger: Charger, *, within_s: float) -> None:
    """Ends all charges properly, waits until the server has heard of it, and says goodbye."""
    charger.resetting = Reset.SOFT
    for outlet in charger.outlets:
        charger.stop(outlet, Reason.LOCAL)
        charger.settle(outlet)
    await _drain(charger, within_s=within_s)
    await charger.link.close()


async def _powered(charger: Charger, live: Live, reason: str) -> None:
    charger.registered.clear()
    charger.registration = "Pending"
    for outlet in charger.outlets:
        outlet.order = outlet.said = None
        charger.settle(outlet)
    try:
        async with asyncio.TaskGroup() as tasks:
            charger.tasks = tasks
            lives = [tasks.create_task(live(charger, outlet)) for outlet in charger.outlets]
            tasks.create_task(charger.link.run(opened=charger.say_statuses, lost=charger.forget_statuses))
            tasks.create_task(_register(charger, reason))
            tasks.create_task(_beat(charger))
            tasks.create_task(_deliver(charger))
            tasks.create_task(_cut(charger, lives))
            tasks.create_task(befall(charger))
            tasks.create_task(expire(charger))
    except* _PowerCut as cut:
        raise _PowerCut from cut


async def _cut(charger: Charger, lives: list[asyncio.Task[None]]) -> None:
    await charger.reset_due.wait()
    for life in lives:
        life.cancel()
    if charger.resetting is Reset.HARD:
        await charger.link.arrived(within_s=ARRIVE_S)  # the answer to the order itself: an abort could overtake it
    if charger.resetting in (Reset.HARD, Reset.POWER_LOSS):
        raise _PowerCut  # no time to tell: the stops follow after the boot
    await _drain(charger, within_s=DRAIN_S)
    await charger.link.close()
    raise _PowerCut


async def _drain(charger: Charger, *, within_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await charger.outbox.emptied.wait()


async def _register(charger: Charger, reason: str) -> None:
    """Asks until it is accepted, at the server's pace, and again whenever the server wishes."""
    while True:
        await charger.link.online.wait()
        charger.boot_asked.clear()
        try:
            await _boot(charger, reason)
        except Offline:
            continue
        except (NoAnswer, CallFailed):
            charger.settings.boot_interval_s = DEFAULT_INTERVAL_S
        with suppress(TimeoutError):
            async with asyncio.timeout(None if charger.registered.is_set() else charger.settings.boot_interval_s):
                await charger.boot_asked.wait()
                reason = "Triggered"


async def _boot(charger: Charger, reason: str) -> None:
    answer = await charger.link.call(*charger.dialect.boot(charger, reason=reason))
    charger.boots += 1
    charger.registration = str(answer.get("status"))
    interval_s = float(answer.get("interval") or 0)
    if charger.registration != "Accepted":
        charger.registered.clear()
        charger.settings.boot_interval_s = interval_s or DEFAULT_INTERVAL_S
        return
    charger.settings.heartbeat_s = interval_s or charger.settings.heartbeat_s
    charger.settings_changed()
    charger.registered.set()
    charger.say_statuses()


async def _beat(charger: Charger) -> None:
    while True:
        await charger.registered.wait()
        charger.heartbeat_changed.clear()
        try:
            async with asyncio.timeout(charger.settings.heartbeat_s or None):  # 0: none at all
                await charger.heartbeat_changed.wait()
        except TimeoutError:
            await quietly(charger.link.call("Heartbeat", {}))


async def _deliver(charger: Charger) -> None:
    while True:
        await charger.outbox.filled.wait()
        await charger.registered.wait()
        await charger.link.online.wait()
        if charger.outbox.filled.is_set():
            await _deliver_first(charger)


async def _deliver_first(charger: Charger) -> None:
    """A message leaves the outbox when it was answered, or refused as often as the settings allow."""
    message = charger.outbox.head
    if message.attempts and not charger.dialect.keeps_message_ids:
        message.renew_id()
    message.attempts += 1
    try:
        answer = await charger.link.call(message.action, charger.dialect.sealed(message), message_id=message.id)
    except (Offline, NoAnswer):
        return  # it stays the first: it may be money
    except CallFailed:
        message.refusals += 1
        if message.stage is not Stage.STATUS and message.refusals < charger.settings.attempts:
            await asyncio.sleep(charger.settings.retry_s * message.refusals)
            return
        answer = None
    charger.outbox.remove(message)
    charger.heard(message, answer)
