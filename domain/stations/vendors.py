"""Vendors' own messages (DataTransfer): who understands which, and what is answered to the rest."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from domain.actor import Permission
from domain.work import Work


class VendorStatus(StrEnum):
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN_MESSAGE = "UNKNOWN_MESSAGE"
    UNKNOWN_VENDOR = "UNKNOWN_VENDOR"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorMessage:
    """`data` is a text in OCPP 1.6 and anything that JSON has in 2.x."""

    station_id: UUID
    vendor_id: str
    message_id: str | None
    data: Any


@dataclass(frozen=True, slots=True)
class VendorAnswer:
    status: VendorStatus
    data: Any = None


VendorHandler = Callable[[Work, VendorMessage], Awaitable[VendorAnswer]]


@dataclass(frozen=True, slots=True)
class Vendors:
    """Who understands what: by vendor, then by message; None for messages without an id. A port that plug-ins fill."""

    handlers: Mapping[str, Mapping[str | None, VendorHandler]] = field(default_factory=dict)


async def hear_vendor(work: Work, message: VendorMessage) -> VendorAnswer:
    """What a plug-in says to it, or that there is none."""
    work.require(Permission.REPORT)
    handlers = work.port(Vendors).handlers.get(message.vendor_id)
    if handlers is None:
        return VendorAnswer(VendorStatus.UNKNOWN_VENDOR)
    handler = handlers.get(message.message_id)
    return VendorAnswer(VendorStatus.UNKNOWN_MESSAGE) if handler is None else await handler(work, message)
