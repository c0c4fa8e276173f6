"""What schemathesis makes up is asked as whole as it can be: one of a one-of, every field, its values as variables."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FloatValueNode,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    NameNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    is_required_argument,
    parse_type,
    value_from_ast_untyped,
    visit,
)
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.graphql import nodes

DEPTH = 3  # of the selections that ask for everything

# Where the demo's own values are put in, most of the time; elsewhere and else, anything goes.
PLACES = {
    "stations": (
        *("Query.station.id", "Mutation.updateStation.id", "Mutation.deleteStation.id", "*.*.stationId"),
        *("*.*.input.stationId", "*.*.filter.stationId", "*.*.filter.owner"),
    ),
    "sessions": (
        *("Query.session.id", "*.*.sessionId", "*.*.command.remoteStop.sessionId"),
        "*.*.command.getTransactionStatus.sessionId",
    ),
    "reservations": ("Query.reservation.id", "*.*.reservationId", "*.*.command.cancelReservation.reservationId"),
    "tokens": ("Query.token.id", "Mutation.updateToken.id", "Mutation.deleteToken.id"),
    "locations": (
        *("Query.location.id", "Mutation.updateLocation.id", "Mutation.deleteLocation.id"),
        *("*.*.input.locationId", "*.*.filter.locationId"),
    ),
    "meters": ("Query.meter.id", "Mutation.updateMeter.id", "Mutation.deleteMeter.id", "*.*.meterId"),
    "credentials": ("Mutation.revokeCredential.id",),
    "commands": ("Query.command.id", "*.*.commandId"),
    "imports": ("Query.import.id", "*.*.importId"),
    "contents": ("*.importReadings.input.content",),
    "columns": (
        *("*.importReadings.input.layout.at", "*.importReadings.input.layout.address"),
        *("*.importReadings.input.layout.value", "*.importReadings.input.layout.delimiter"),
    ),
    "sessionOrphans": ("*.*.orphanId",),
    "orphansSessions": ("Mutation.assignSessionOrphan.sessionId",),
    "endlessSessions": ("Mutation.stopSession.sessionId",),
    "identities": ("*.*.identity", "*.*.filter.stationIdentity"),
    "newcomers": ("*.*.input.identity",),
    "uids": (
        "*.*.input.uid",
        "*.*.input.tokenUid",
        "*.*.filter.tokenUid",
        "*.*.command.remoteStart.tokenUid",
        "*.*.command.reserveNow.tokenUid",
    ),
    "groups": ("Mutation.setTokenGroup.input.uid", "Mutation.deleteTokenGroup.uid"),
    "ends": ("*.*.input.expiresAt", "*.*.command.reserveNow.expiresAt"),
    "patience": ("*.*.queueForS",),
    "addresses": ("*.*.address", "*.*.readings[*].address", "*.*.filter.prefix"),
    "virtual": ("Mutation.updateVirtualPoint.address", "Mutation.deleteVirtualPoint.address"),
    "waiting": ("Mutation.releaseQuarantined.address",),
    "unwanted": ("Mutation.dismissQuarantined.address",),
    "fresh": ("*.*.input.address",),
    "expressions": ("*.*.input.expression",),
    "measured": ("*.history.points[*]", "*.readings.points[*]"),
    "counted": ("*.historyEnergy.points[*]", "*.historyEnergyPerPeriod.points[*]"),
    "cursors": ("*.*.after",),
    "periods": ("*.*.resolution", "*.*.input.samplingInterval"),
    "rows": ("*.*.maxPoints",),
    "zones": ("*.*.timezone", "*.*.input.timezone", "*.importReadings.input.layout.timezone"),
    "units": ("*.*.readings[*].unit", "*.*.input.unit", "Mutation.releaseQuarantined.unit"),
    "numbers": (
        *("*.*.first", "*.*.input.evseNumber", "*.*.input.maxSessions", "*.*.command.unlockConnector.evseNumber"),
        *("*.*.command.unlockConnector.connectorNumber", "*.*.command.reset.evseNumber"),
    ),
    "degrees": ("*.*.input.latitude", "*.*.input.longitude"),
    "names": ("*.*.input.name", "*.*.input.country", "*.*.input.city"),
}
KNOWN: dict[str, list[Any]] = {
    "contents": ["at,address,value\n2026-01-01T00:00:00Z,generated,1\n", "at,address,value\nnow,a,1\n", "", "\0"],
    "columns": ["at", "address", "value", "1", "9", ",", ";"],
    "newcomers": [*(f"CP-generated-{number}" for number in range(20)), "SIM-001", "a/b"],
    "periods": [
        "PT15M",
        "PT1S",
        "P1D",
        "P1M",
        "P1Y",
        "PT0S",
        "-P1D",
        "P1W",
        "P999999999D",
        "PT1.5S",
        "P1DT1H",
        "R/P1D",
    ],
    "rows": [100, 1_000, 5_000, 9, 2**31 - 1, 500],
    "zones": ["Europe/Berlin", "America/St_Johns", "UTC", "Mars/Phobos", "../etc/passwd", ""],
    "groups": ["FLEET", "fleet", "nobody's"],
    "ends": ["2099-01-01T00:00:00Z", "2001-01-01T00:00:00Z", "soon"],
    "patience": [86_400, 60, 0, 604_801],
    "virtual": [*(f"made/{number}" for number in range(8)), "nowhere"],
    "waiting": [*(f"waiting/{number}" for number in range(8)), "nowhere"],
    "unwanted": [*(f"unwanted/{number}" for number in range(8)), "nowhere"],
    "fresh": [*(f"fresh/{number}" for number in range(20)), "made/0", "a" * 500],
    "expressions": [
        *("'meter/main/import' * 2", "max(0, 'meter/main/import' - 5)", "sum('station/*/1/*')", "avg('meter/**', 1)"),
        *("made_up + 1", "max(0,", "1 / 'a", "(" * 99, "coalesce('meter/main/import', 1e3)"),
    ],
    "units": ["kWh", "Wh", "W", "Percent", "furlong"],
    "numbers": [1, 2, 50, 500, 501, 0, -1, 2**31 - 1],
    "degrees": [0.0, 52.5, -90.0, 180.0, 1e308],
    "names": ["Depot", "DEU", "Zürich", "x" * 300],
}


def configured(known: dict[str, list[Any]]) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "dictionaries": {name: {"values": values} for name, values in (KNOWN | known).items()},
            "parameters": {
                place: {"dictionary": name, "probability": 0.8} for name, places in PLACES.items() for place in places
            },
        }
    )


def json_node(value: Any) -> Any:
    if isinstance(value, list):
        return nodes.List([json_node(item) for item in value])
    if isinstance(value, dict):
        named = enumerate(value.values())
        return nodes.Object([ObjectFieldNode(name=NameNode(value=f"k{n}"), value=json_node(item)) for n, item in named])
    return nodes.Null if value is None else LEAVES[type(value)](value)


LEAVES: dict[type, Any] = {bool: nodes.Boolean, int: nodes.Int, float: nodes.Float, str: nodes.String}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
).map(json_node)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float) | st.sampled_from(
    [FloatValueNode(value=written) for written in ("1e999", "-1e999", "1e-999", "9" * 400)]
)
LATELY = st.integers(-600, 60).map(lambda minutes: datetime.now(UTC).replace(second=0) + timedelta(minutes=minutes))
EVER = st.datetimes(timezones=st.timezones())
MOMENTS = st.one_of(*[LATELY] * 7, EVER).map(lambda at: nodes.String(at.isoformat()))


def one_of(schema: GraphQLSchema, document: DocumentNode) -> DocumentNode:
    """A one-of with one alone of what was made up for it; schemathesis knows nothing of them."""
    types = TypeInfo(schema)

    class Choosing(Visitor):
        def enter_object_value(self, node: ObjectValueNode, *_: Any) -> ObjectValueNode | None:
            kind = get_named_type(types.get_input_type())
            if not isinstance(kind, GraphQLInputObjectType) or not kind.is_one_of:
                return None
            given = [field for field in node.fields if not isinstance(field.value, NullValueNode)]
            return ObjectValueNode(fields=tuple(given[:1]))

    return visit(document, TypeInfoVisitor(types, Choosing()))  # type: ignore[no-any-return]


def whole(schema: GraphQLSchema, document: DocumentNode) -> DocumentNode:
    """With every field that is to be had without arguments."""
    operation, (root,) = _parts(document)
    kind = get_named_type(_field(schema, operation, root).type)
    return _with(document, operation, replace(root, selection_set=everything(kind, DEPTH)))


def everything(kind: Any, depth: int) -> SelectionSetNode | None:
    asked = [FieldNode(name=NameNode(value="__typename"))]
    if isinstance(kind, GraphQLUnionType):
        return SelectionSetNode(selections=tuple(asked))
    if not isinstance(kind, GraphQLObjectType):
        return None
    for name, field in kind.fields.items():
        of = get_named_type(field.type)
        if (depth > 1 or not isinstance(of, GraphQLObjectType)) and not any(
            map(is_required_argument, field.args.values())
        ):
            asked.append(FieldNode(name=NameNode(value=name), selection_set=everything(of, depth - 1)))
    return SelectionSetNode(selections=tuple(asked))


def hoisted(schema: GraphQLSchema, document: DocumentNode) -> tuple[DocumentNode, dict[str, Any]]:
    """With the root field's arguments as variables, as programs send them."""
    operation, (root,) = _parts(document)
    kinds = _field(schema, operation, root).args
    values = {argument.name.value: value_from_ast_untyped(argument.value) for argument in root.arguments or ()}
    variables = {name: VariableNode(name=NameNode(value=name)) for name in values}
    arguments = [ArgumentNode(name=NameNode(value=name), value=variable) for name, variable in variables.items()]
    definitions = [
        VariableDefinitionNode(variable=variable, type=parse_type(str(kinds[name].type)))
        for name, variable in variables.items()
    ]
    operation = replace(operation, variable_definitions=tuple(definitions))
    return _with(document, operation, replace(root, arguments=tuple(arguments))), values


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        "",
        "\0",
        "x" * 5_000,
        "\u202e",
        -1,
        2**31,
        2**63,
        1e308,
        0.5,
        -0.0,
        [],
        [[]],
        {},
        {"": 0},
        {"id": "x"},
    ]
)


@st.composite
def spoiled(draw: st.DrawFn, value: Any) -> Any:
    """What programs send by mistake, or on purpose: here and there something odd."""
    if draw(st.integers(0, 9)) == 5:
        return draw(ODD)
    if isinstance(value, list):
        return [draw(spoiled(item)) for item in value]
    if isinstance(value, dict):
        return {name: draw(spoiled(item)) for name, item in value.items()}
    return value


def _parts(document: DocumentNode) -> tuple[OperationDefinitionNode, list[FieldNode]]:
    """The one operation and its root fields."""
    (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    return operation, [field for field in operation.selection_set.selections if isinstance(field, FieldNode)]


def _field(schema: GraphQLSchema, operation: OperationDefinitionNode, root: FieldNode) -> GraphQLField:
    kind = schema.get_root_type(operation.operation)
    assert kind is not None
    field: GraphQLField = kind.fields[root.name.value]
    return field


def _with(document: DocumentNode, operation: OperationDefinitionNode, root: FieldNode) -> DocumentNode:
    asked = replace(operation, selection_set=SelectionSetNode(selections=(root,)))
    return replace(document, definitions=(asked,))
