"""OCPP 2.0.1, B07 and B08: what a station reports of its components and variables."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.datatypes import ComponentType, ReportDataType, VariableAttributeType, VariableType

from domain import stations
from domain.stations import Attribute, AttributeType, Characteristics, Described, Mutability, VariableName
from gateways.ocpp.link import Call, Handler

OUR_ATTRIBUTE = {
    "Actual": AttributeType.ACTUAL,
    "Target": AttributeType.TARGET,
    "MinSet": AttributeType.MIN_SET,
    "MaxSet": AttributeType.MAX_SET,
}
_OUR_MUTABILITY = {
    "ReadOnly": Mutability.READ_ONLY,
    "WriteOnly": Mutability.WRITE_ONLY,
    "ReadWrite": Mutability.READ_WRITE,
}


async def report(call: Call, m: request.NotifyReport) -> result.NotifyReport:
    async with call.write() as work:
        await stations.report_variables(
            work,
            station_id=call.station_id,
            number=m.request_id,
            part=m.seq_no,
            is_last=not m.tbc,
            described=[_described(item) for item in m.report_data or []],
        )
    return result.NotifyReport()


def _described(item: ReportDataType) -> Described:
    about = item.variable_characteristics
    return Described(
        name=named(item.component, item.variable),
        attributes=tuple(_told(attribute) for attribute in item.variable_attribute),
        characteristics=None
        if about is None
        else Characteristics(
            data_type=about.data_type,
            unit=about.unit,
            min_limit=about.min_limit,
            max_limit=about.max_limit,
            values_list=about.values_list,
            supports_monitoring=about.supports_monitoring,
        ),
    )


def _told(attribute: VariableAttributeType) -> Attribute:
    return Attribute(
        type=OUR_ATTRIBUTE.get(attribute.type or "Actual", AttributeType.ACTUAL),
        value=attribute.value,
        mutability=_OUR_MUTABILITY.get(attribute.mutability or ""),
        persistent=attribute.persistent,
        constant=attribute.constant,
    )


def named(component: ComponentType, variable: VariableType) -> VariableName:
    evse = component.evse
    return VariableName(
        component=component.name,
        component_instance=component.instance,
        evse_number=None if evse is None else evse.id,
        connector_number=None if evse is None else evse.connector_id,
        variable=variable.name,
        variable_instance=variable.instance,
    )


HANDLERS: dict[str, Handler] = {"NotifyReport": report}
