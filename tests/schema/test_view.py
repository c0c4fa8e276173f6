"""A view that shows what is not there fails when it is imported."""

from dataclasses import dataclass

import pytest
import strawberry

import schema
from domain import stations
from schema.view import attribute, view


def test_a_view_of_what_a_row_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="Wrong shows voltage_v, which Station does not have"):

        @view(stations.Station)
        class Wrong:
            voltage_v: float = attribute("There is no such column.")


def test_what_may_be_missing_must_be_shown_as_nullable() -> None:
    with pytest.raises(TypeError, match="Wrong.name may be None in Station"):

        @view(stations.Station)
        class Wrong:
            name: str = attribute("A station need not have one.")


def test_properties_and_fields_of_dataclasses_are_attributes_too() -> None:
    @dataclass
    class Meter:
        energy_wh: float

        @property
        def energy_kwh(self) -> float | None:
            return self.energy_wh / 1000

    @view(Meter, name="Meter")
    class Shown:
        """A meter."""

        energy_wh: float = attribute("In Wh.")
        energy_kwh: float | None = attribute("In kWh.")

    @strawberry.type
    class Query:
        @strawberry.field
        def meter(self) -> Shown:
            return Meter(1_500)  # type: ignore[return-value]

    result = strawberry.Schema(query=Query).execute_sync("{ meter { energyWh energyKwh } }")

    assert result.data == {"meter": {"energyWh": 1500.0, "energyKwh": 1.5}}


def test_plain_fields_stay_on_the_fast_path() -> None:
    """A resolver on a leaf costs ten times an attribute, so there is one only where something is looked up."""
    types = schema.build()._schema.type_map
    resolved = {
        f"{name}.{field_name}"
        for name in ("Station", "Evse", "Connector", "Session", "Token", "Location", "Point", "Command", "Series")
        for field_name, field in types[name].fields.items()  # type: ignore[attr-defined]
        if not getattr(field.resolve, "_is_default", False)
    }

    assert resolved == {
        "Station.online",
        "Station.lastSeenAt",
        "Station.location",
        "Station.localList",
        "Station.evses",
        "Station.variables",
        "Evse.connectors",
        "Session.station",
        "Session.token",
        "Session.cost",
        "Session.signedMeterValues",
        "Token.locations",
        "Point.latest",
        "Command.station",
        "Command.session",
        "Command.outcome",
        "Command.reservation",
        "Command.report",
        "Command.eventId",
    }


def test_every_type_and_field_says_what_it_is() -> None:
    """Inputs' fields of plain names may go without."""
    types = schema.build()._schema.type_map
    silent = [
        f"{name}.{field_name}"
        for name, of in types.items()
        if not name.startswith("__") and hasattr(of, "fields") and not name.endswith(("Input", "Filter", "Command"))
        for field_name, field in of.fields.items()
        if not field.description
    ]
    silent += [name for name, of in types.items() if not name.startswith("__") and not of.description]

    assert silent == []
