import gc
import inspect
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, cast

import pytest
import strawberry
from graphql import ExecutionResult, OperationDefinitionNode, parse
from graphql.execution import Executor as CoreExecutor
from strawberry.extensions import FieldExtension, SchemaExtension
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig

from domain.errors import Unauthenticated
from gateways.graphql import compiled, plans, selections
from gateways.graphql.executor import Executor
from gateways.graphql.fields import attribute_of, is_event
from gateways.graphql.plans import Plan

pytestmark = pytest.mark.anyio


class Nobody(BasePermission):
    message = "nobody may"

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return False


class Louder(FieldExtension):
    def resolve(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        return next_(source, info, **kwargs).upper()


@strawberry.type
class Plug:
    number: int
    label: str | None = None
    secret: str | None = strawberry.field(default="s", permission_classes=[Nobody])
    loud: str = strawberry.field(default="hello", extensions=[Louder()])

    @strawberry.field
    def twice(self) -> int:
        return 2 * self.number

    @strawberry.field
    async def later(self) -> int:
        return self.number


@strawberry.input
class Range:
    least: int = 0


@strawberry.type
class Query:
    @strawberry.field
    def plugs(self, count: int = 3) -> list[Plug]:
        return [Plug(number=number) for number in range(count)]

    @strawberry.field
    def told(
        self,
        info: strawberry.Info,
        text: str = "-",
        words: list[str] | None = None,
        range: Range | None = None,
        at: datetime | None = None,
    ) -> str:
        words = words or []
        words.append("end")
        return f"{text} {words} {range} {at}"

    @strawberry.field
    def values(self) -> list[float | None]:
        return VALUES


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def first(self) -> int:
        Order.seen.append("first")
        return 1

    @strawberry.mutation
    def second(self) -> int:
        Order.seen.append("second")
        return 2


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def plug(self) -> AsyncIterator[Plug]:
        yield Plug(number=1)


class Order:
    seen: list[str]


VALUES: list[float | None] = [1.5, None, -0.0]
SCHEMA = strawberry.Schema(Query, Mutation, Subscription, execution_context_class=Executor)


def a_plan(text: str, schema: strawberry.Schema = SCHEMA) -> Plan:
    document = parse(text)
    [operation] = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    return Plan(schema._schema, document, operation)


def an_executor(plan: Plan, variables: dict[str, Any] | None = None, **given: Any) -> Executor:
    executor = Executor.of(plan, context=None, variables=variables, **given)
    assert isinstance(executor, Executor)
    return executor


async def executed(plan: Plan, variables: dict[str, Any] | None = None, **given: Any) -> ExecutionResult:
    executor = an_executor(plan, variables, **given)
    result = executor.execute_operation()
    return cast("ExecutionResult", await result if executor.is_awaitable(result) else result)


def text_of(result: ExecutionResult) -> Any:
    return (result.data or {})["told"]


# What plans remember


async def test_a_plan_has_a_variant_for_each_choice_that_a_document_leaves_to_its_variables() -> None:
    plan = a_plan("query ($a: Boolean!, $n: Int = 1) { plugs(count: $n) { number label @include(if: $a) } }")

    for n in range(50):
        with_label, without = [(await executed(plan, {"a": a, "n": 1 + n % 2})).data for a in (True, False)]
        assert with_label is not None
        assert with_label["plugs"][0] == {"number": 0, "label": None}
        assert without is not None
        assert without["plugs"][0] == {"number": 0}

    assert len(plan._variants) == 2


async def test_variants_are_bounded() -> None:
    names = "abcdef"
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    fields = " ".join(f"{name}: number @include(if: ${name})" for name in names)
    plan = a_plan(f"query ({declared}) {{ plugs(count: 1) {{ number {fields} }} }}")

    for chosen in range(64):
        variables = {name: bool(chosen >> n & 1) for n, name in enumerate(names)}
        data = (await executed(plan, variables)).data
        assert data is not None
        assert set(data["plugs"][0]) == {"number", *(name for name, on in variables.items() if on)}

    assert len(plan._variants) == plans.VARIANTS_MAX


async def test_a_selection_is_compiled_once_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def counted(*given: Any) -> Any:
        made.append(given)
        return compiled.compiled(*given)

    monkeypatch.setattr(selections, "compiled", counted)
    plan = a_plan("{ plugs(count: 10) { number } }")

    for _ in range(100):
        await executed(plan)

    assert len(made) == 1, "the root's selection has not been used often enough"


async def test_no_document_reaches_the_compiled_source(monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[str] = []
    real = compiled._made

    def kept(source: str) -> Any:
        sources.append(source)
        return real(source)

    monkeypatch.setattr(compiled, "_made", kept)
    monkeypatch.setattr(selections, "HOT", 0)

    await executed(a_plan("query evil { zzz: plugs { zzz1: number zzz2: twice zzz3: later zzz4: __typename } }"))

    assert sources
    assert not any("zzz" in source or "evil" in source for source in sources)


async def test_executors_leave_nothing_to_the_garbage_collector() -> None:
    plan = a_plan("{ plugs { number twice } }")
    await executed(plan)

    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            await executed(plan)
        assert gc.collect() == 0
    finally:
        gc.enable()


# What an execution has to itself


@pytest.mark.parametrize("words", ['["a"]', "$words"])
async def test_a_resolver_that_changes_its_arguments_changes_them_for_itself(words: str) -> None:
    declared = "($words: [String!])" if words == "$words" else ""
    plan = a_plan(f"query {declared} {{ told(words: {words}) }}")

    for _ in range(3):
        assert text_of(await executed(plan, {"words": ["a"]})) == "- ['a', 'end'] None None"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "- ['end'] None None"),
        ('(text: "x")', "x ['end'] None None"),
        ("(text: $text)", "given ['end'] None None"),
        ("(text: $unset)", "- ['end'] None None"),
        ("(words: [$text])", "- ['given', 'end'] None None"),
        ("(range: {least: 3})", "- ['end'] Range(least=3) None"),
        ('(at: "2026-01-01T00:00:00Z")', "- ['end'] None 2026-01-01 00:00:00+00:00"),
    ],
)
async def test_arguments_are_what_the_document_and_its_variables_say(arguments: str, expected: str) -> None:
    plan = a_plan(f"query ($text: String!, $unset: String) {{ told{arguments} }}")

    for _ in range(2):
        assert text_of(await executed(plan, {"text": "given"})) == expected


async def test_a_literal_of_a_scalar_of_our_own_is_read_anew_each_time() -> None:
    """It may mean another thing then: a minute ago, say."""
    read: list[str] = []
    clock = strawberry.scalar(name="DateTime", parse_value=read.append)
    config = StrawberryConfig(scalar_map={datetime: clock})
    schema = strawberry.Schema(Query, config=config)
    plan = a_plan('{ told(at: "now") }', schema)

    for _ in range(3):
        await executed(plan)

    assert read == ["now"] * 3


async def test_the_answer_is_not_the_list_that_was_read() -> None:
    """Which may change before it is sent."""
    data = (await executed(a_plan("{ values }"))).data

    assert data == {"values": VALUES}
    assert data is not None
    assert data["values"] is not VALUES


@pytest.mark.parametrize("odd", [float("nan"), -float("inf"), 3, True, "1.5", "wrong", [], 10**400])
@pytest.mark.parametrize("beside", [[], [None], [1e308, 1e308]])
async def test_one_odd_number_in_a_long_list_is_answered_as_stock_answers_it(odd: Any, beside: list[Any]) -> None:
    @strawberry.type
    class Root:
        values: list[float | None]

    root = Root(values=[1.5, *beside, odd, -0.0])
    text = "{ values }"
    expected = strawberry.Schema(Root).execute_sync(text, root_value=root)

    result = await executed(a_plan(text, strawberry.Schema(Root)), root=root)

    assert repr(result.data) == repr(expected.data)
    assert [one.formatted for one in result.errors or []] == [one.formatted for one in expected.errors or []]


async def test_nothing_that_an_execution_changes_is_shared_with_another() -> None:
    """An attribute that a new graphql-core adds to its executor shows here: `Executor._begin` has to make it anew."""
    plan = a_plan("{ plugs { number } }")
    one, other = an_executor(plan), an_executor(plan)
    from_the_plan = {
        *("schema", "fragment_definitions", "fragments", "operation", "variant", "_relevant_sub_fields"),
        *("_stream_usages", "_initial_execution_plans", "_deferred_execution_plans"),  # of @defer and @stream
    }
    plain = (type(None), bool, type(lambda: 0))

    built = CoreExecutor.build(SCHEMA._schema, parse("{ plugs { number } }"))
    assert not isinstance(built, list)
    assert vars(one).keys() >= vars(built).keys() - {"async_helpers"}
    for name, value in vars(one).items():
        if name not in from_the_plan and not isinstance(value, plain):
            assert value is not vars(other)[name], name


async def test_a_mutation_does_one_thing_after_the_other() -> None:
    Order.seen = []

    result = await executed(a_plan("mutation { first a: second again: first }"))

    assert result.data == {"first": 1, "a": 2, "again": 1}
    assert Order.seen == ["first", "second", "first"]


# What is not for everybody


@pytest.mark.parametrize(
    ("asked", "data"),
    [
        ("__typename", {"__typename": "Query"}),
        ("__typename __schema { queryType { name } }", None),
        ('a: __type(name: "Plug") { name } __typename', {"a": None, "__typename": "Query"}),
    ],
)
async def test_introspection_may_be_refused(asked: str, data: Any) -> None:
    refusal = Unauthenticated("introspection needs a credential")
    plan = a_plan(f"{{ {asked} }}")

    for _ in range(2):
        result = await executed(plan, introspection=refusal)
        assert result.data == data
        errors = result.errors or []
        assert [error.original_error for error in errors] == [refusal] * ("__schema" in asked)
        assert refusal.__traceback__ is None, "it would grow with every request"


async def test_introspection_is_answered_where_it_is_allowed() -> None:
    result = await executed(a_plan("{ __schema { queryType { name } } }"))

    assert result.data == {"__schema": {"queryType": {"name": "Query"}}}


@pytest.mark.parametrize("hidden", [True, False])
async def test_what_is_wrong_with_variables_can_be_said_without_suggestions(hidden: bool) -> None:
    plan = a_plan("query ($range: Range) { told(range: $range) }")

    errors = Executor.of(plan, context=None, variables={"range": {"leats": 1}}, hide_suggestions=hidden)

    assert isinstance(errors, list)
    assert ("Did you mean" in errors[0].message) is not hidden


# Where graphql-core goes its own way


class Loud(SchemaExtension):
    def resolve(self, _next: Callable[..., Any], root: Any, info: Any, *args: str, **kwargs: Any) -> Any:
        value = _next(root, info, *args, **kwargs)
        return value.upper() if isinstance(value, str) else value


async def test_middleware_sees_every_field() -> None:
    schema = strawberry.Schema(Query, execution_context_class=Executor, extensions=[Loud])

    result = await schema.execute("{ plugs(count: 1) { label loud __typename } }")

    assert result.data == {"plugs": [{"label": None, "loud": "HELLO", "__typename": "PLUG"}]}


async def test_without_propagation_errors_stay_where_they_are() -> None:
    plan = a_plan("query @experimental_disableErrorPropagation { plugs(count: 1) { number } }")

    executor = an_executor(plan)

    assert executor.variant is None
    assert executor.execute_operation().data == {"plugs": [{"number": 0}]}


# Where we lean on what is private to others: an upgrade that moves it shows here


def a_field(type_: str, name: str) -> Any:
    return cast("Any", SCHEMA._schema.type_map[type_]).fields[name]


def test_strawberry_reads_an_attribute_where_there_is_nothing_else_to_do() -> None:
    assert attribute_of(a_field("Plug", "number")) == "number"
    assert attribute_of(a_field("Plug", "label")) == "label"
    for more in ("secret", "loud", "twice", "later"):
        assert attribute_of(a_field("Plug", more)) is None


def test_strawberry_answers_the_field_of_a_subscription_with_the_event() -> None:
    event = object()

    assert is_event(a_field("Subscription", "plug"))
    assert a_field("Subscription", "plug").resolve(event, None) is event
    assert not is_event(a_field("Query", "plugs"))


def test_graphql_core_keeps_what_it_has_collected_by_the_identity_of_the_fields() -> None:
    plan = a_plan("{ plugs { number } }")
    executor = an_executor(plan)
    executor.execute_operation()

    [(key, (details, collected))] = executor._relevant_sub_fields.items()
    type_, identity = key
    assert type_.name == "Plug"
    assert identity == id(details)
    assert list(collected.grouped_field_set) == ["number"]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (
            "__init__",
            "self schema fragment_definitions fragments root_value context_value operation variable_values "
            "field_resolver type_resolver subscribe_field_resolver enable_early_execution middleware_manager "
            "is_awaitable is_async_iterable hide_suggestions abort_signal hooks",
        ),
        ("build_per_event_executor", "self payload"),
        ("execute_operation", "self serially"),
        ("build_response", "self data"),
        ("build_resolve_info", "self field_def field_nodes parent_type path"),
        ("collect_subfields", "self return_type field_details_list"),
        ("collect_and_execute_subfields", "self return_type field_details_list path result position_context"),
        ("execute_field", "self parent_type source field_details_list path position_context"),
        ("complete_value", "self return_type field_details_list info path result position_context"),
        ("handle_field_error", "self raw_error return_type field_details_list path"),
        ("settle_in_background", "self awaitables"),
        ("run_async_work_finished_hook", "self"),
    ],
)
def test_graphql_cores_executor_is_the_one_that_ours_was_written_for(method: str, parameters: str) -> None:
    assert list(inspect.signature(getattr(CoreExecutor, method)).parameters) == parameters.split()
