"""OCPP 2.1, E: what a charge tells beyond its meter becomes a reading beside those of the meter."""

from collections.abc import Iterator

from ocpp.v21 import call as request
from ocpp.v21.datatypes import (
    CostDetailsType,
    MeterValueType,
    SampledValueType,
    TransactionLimitType,
    UnitOfMeasureType,
)
from ocpp.v201 import call_result as result

from gateways.ocpp import v201
from gateways.ocpp.link import Call, Handler

Fact = tuple[str, float | str | None, str | None]  # as what it is measured, its value if it was told, the unit


async def report(call: Call, m: request.TransactionEvent) -> result.TransactionEvent:
    told = [_sampled(what, value, unit) for what, value, unit in _facts(m) if value is not None]
    if told:
        m.meter_value = [*(m.meter_value or []), MeterValueType(sampled_value=told, timestamp=m.timestamp)]
    answer: result.TransactionEvent = await v201.HANDLERS["TransactionEvent"](call, m)
    return answer


def _facts(m: request.TransactionEvent) -> Iterator[Fact]:
    yield "PreconditioningStatus", m.preconditioning_status, None
    yield "EVSESleep", m.evse_sleep, None
    yield "OperationMode", m.transaction_info.operation_mode, None
    if m.cost_details is not None:
        yield _cost(m.cost_details)
    if m.transaction_info.transaction_limit is not None:
        yield from _limits(m.transaction_info.transaction_limit)


def _cost(details: CostDetailsType) -> Fact:
    """With taxes, as the driver is shown it; without where that is all that was told."""
    total = details.total_cost.total
    return "Cost.Total", total.excl_tax if total.incl_tax is None else total.incl_tax, details.total_cost.currency


def _limits(limit: TransactionLimitType) -> Iterator[Fact]:
    yield "TransactionLimit.MaxCost", limit.max_cost, None
    yield "TransactionLimit.MaxEnergy", limit.max_energy, "Wh"
    yield "TransactionLimit.MaxTime", limit.max_time, "s"
    yield "TransactionLimit.MaxSoC", limit.max_soc, "Percent"


def _sampled(measurand: str, value: float | str, unit: str | None) -> SampledValueType:
    return SampledValueType(
        value=value,
        measurand=measurand,
        unit_of_measure=UnitOfMeasureType(unit=unit) if unit else None,
    )


HANDLERS: dict[str, Handler] = {"TransactionEvent": report}
