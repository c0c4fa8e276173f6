"""The one way through which an operation goes, whatever brought it: looked up, weighed, executed, counted.

It takes the place of `strawberry.Schema.execute` and `stream`, which parse, validate and run extensions for each
request (docs/decisions/0022). Types, fields and resolvers are Strawberry's, execution is graphql-core's.
"""

from collections.abc import AsyncGenerator, Coroutine, Hashable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from inspect import isawaitable
from time import perf_counter
from typing import Any, Protocol, TypeVar, cast

import orjson
from graphql import ExecutionResult, GraphQLError
from graphql.execution import create_source_event_stream
from strawberry import Schema
from strawberry.types.execution import ExecutionContext

from gateways.graphql.budget import Purse
from gateways.graphql.documents import Document, Documents, Operation, Unread
from gateways.graphql.executor import Executor, Forkable
from gateways.graphql.limits import INVALID, Limits, Refused
from gateways.graphql.metrics import ITEMS, OTHER, Meter, meter, refused
from gateways.graphql.trusted import Mode, Trusted, nothing_asked

QUERY, MUTATION, SUBSCRIPTION = "query", "mutation", "subscription"
ANY = frozenset({QUERY, MUTATION, SUBSCRIPTION})
ONE_ANSWER = frozenset({QUERY, MUTATION})

Reached = TypeVar("Reached", bound="Answer | Subscription")


@dataclass(frozen=True, slots=True)
class Rights:
    """What a caller may do with the engine itself; what fields show is their own matter.

    `principal` is whose budget pays. `introspection` is the error that `__schema` and `__type` answer, None where they
    may be asked. `documents` is what becomes of those that are not in the manifest, where there is one. `named` is
    whether the names of operations, of which metrics have room for a few, are counted apart.
    """

    principal: str
    introspection: Exception | None = None
    suggestions: bool = True
    documents: Mode = Mode.OFF
    named: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks for: the parameters of a request of GraphQL over HTTP.

    `carrier` is what its headers say of the caller's trace, where that is wanted. `document_id` names a document of the
    manifest.
    """

    query: str | None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None
    carrier: Mapping[str, str] | None = None
    document_id: str | None = None


@dataclass(slots=True)
class Answer:
    """`refused` is a request error: nothing was executed, and there is no `data`. `status` is HTTP's word for it.

    `broken` is the last of a subscription that something has ended. Of the item that it shows, `event_id` is after what
    one may go on, and `key` what it is the latest value of.
    """

    data: dict[str, Any] | None
    errors: list[GraphQLError] | None = None
    extensions: Mapping[str, Any] | None = None
    refused: bool = False
    broken: bool = False
    status: int = HTTPStatus.OK
    retry_after_s: int | None = None
    meter: Meter | None = None
    key: str | None = None
    event_id: str | None = None

    def body(self) -> dict[str, Any]:
        """As it goes over the wire."""
        body: dict[str, Any] = {}
        if self.errors:
            body["errors"] = [error.formatted for error in self.errors]
        if not self.refused:
            body["data"] = self.data
        if self.extensions:
            body["extensions"] = self.extensions
        return body

    def encoded(self) -> bytes:
        started = perf_counter()
        encoded = orjson.dumps(self.body())
        if self.meter is not None:
            self.meter.encoded(started)
        return encoded


class Tracer(Protocol):
    """Sees operations from their beginning to their end; `tracing` is one, for whoever wants OpenTelemetry."""

    def carrier(self, headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]: ...

    def operation(self, call: Call, running: Coroutine[Any, Any, Reached]) -> Coroutine[Any, Any, Reached]: ...

    def found(self, operation: Operation) -> None: ...

    def event(
        self, subscription: "Subscription", running: Coroutine[Any, Any, Answer]
    ) -> Coroutine[Any, Any, Answer]: ...

    def broken(self, subscription: "Subscription", answer: Answer) -> None: ...


class Engine:
    """Runs the operations of one schema. Errors reach clients as the schema's `process_errors` makes them."""

    def __init__(
        self,
        schema: Schema,
        *,
        limits: Limits | None = None,
        purse: Purse | None = None,
        tracing: Tracer | None = None,
        trusted: Trusted | None = None,
    ) -> None:
        if schema.extensions:
            raise TypeError("Strawberry's extensions are not run here: what they do is a step of the engine's own")
        self.schema = schema
        self.tracing = tracing
        # Strawberry has no public name for graphql-core's schema.
        self._limits = limits or Limits()
        self.documents = Documents(schema._schema, self._limits)  # noqa: SLF001
        self._purse = purse
        self._trusted = trusted

    def execute(
        self, call: Call, context: Forkable | None, rights: Rights, *, kinds: frozenset[str] = ONE_ANSWER
    ) -> Coroutine[Any, Any, Answer]:
        """The one answer to a query or mutation; whatever goes wrong is told in it."""
        running = cast("Coroutine[Any, Any, Answer]", self._run(call, context, rights, kinds))
        return running if self.tracing is None else self.tracing.operation(call, running)

    async def stream(
        self, call: Call, context: Forkable | None, rights: Rights, *, kinds: frozenset[str] = ANY
    ) -> AsyncGenerator[Answer, None]:
        """Every answer to an operation of any kind. A refusal is the only one; what it costs is told with the first."""
        begun = await self.begin(call, context, rights, kinds=kinds)
        async with aclosing(self.answers(begun, call, context)) as answers:
            async for answer in answers:
                yield answer

    def begin(
        self, call: Call, context: Forkable | None, rights: Rights, *, kinds: frozenset[str] = ANY, joins: bool = False
    ) -> "Coroutine[Any, Any, Answer | Subscription]":
        """To the one answer, or until a subscription has begun; where it `joins`, one that coalesces is `Joinable`."""
        running = self._run(call, context, rights, kinds, joins=joins)
        return running if self.tracing is None else self.tracing.operation(call, running)

    async def answers(
        self, begun: "Answer | Subscription", call: Call, context: Forkable | None
    ) -> AsyncGenerator[Answer, None]:
        """Every answer of what has begun. Of what is joinable it is what `context` makes of it: what comes before its
        news, or the news alone. One that fails later says so in its last answer.

        One generator for all, since each more is gone through for each event.
        """
        if isinstance(begun, Joinable):
            begun = await self._part(begun, call, context)
        if isinstance(begun, Answer):
            yield begun
        if not isinstance(begun, Begun):
            return
        extensions = begun.extensions
        errors: list[GraphQLError] | None = None
        try:
            async with aclosing(begun.source):
                async for payload in begun.source:
                    event = self._event(begun, payload, call, context)
                    answer = await (event if self.tracing is None else self.tracing.event(begun, event))
                    answer.extensions, extensions = extensions, None
                    yield answer
        except Exception as error:
            errors = self._shown([_of(error)], call, context)
            answer = Answer(None, errors, broken=True, meter=begun.watch)
            if self.tracing is not None:
                self.tracing.broken(begun, answer)
            answer.extensions = extensions
            yield answer
        finally:
            begun.watch.ended(errors)

    def fault(self, error: Exception, call: Call, context: Forkable | None) -> Answer:
        """The last answer of what has failed on its way to its reader."""
        return Answer(None, self._shown([_of(error)], call, context), broken=True)

    async def _run(
        self, call: Call, context: Forkable | None, rights: Rights, kinds: frozenset[str], *, joins: bool = False
    ) -> "Answer | Subscription":
        """To the one answer, or until a subscription has begun or could be joined."""
        started = perf_counter()
        try:
            operation, extensions = await self._ready(call, rights, kinds)
        except Refused as error:
            return self._refusal(error, call, context)
        watch = meter(operation.kind, operation.name if rights.named else operation.name and OTHER)
        watch.prepared(started)
        if joins and operation.kind == SUBSCRIPTION and operation.shape.coalesces:
            return Joinable(operation=operation, watch=watch, extensions=extensions, call=call, rights=rights)
        run = self._begun if operation.kind == SUBSCRIPTION else self._executed
        reached = await run(operation, call, context, rights, watch)
        reached.extensions = extensions
        return reached

    async def _ready(
        self, call: Call, rights: Rights, kinds: frozenset[str]
    ) -> tuple[Operation, Mapping[str, Any] | None]:
        """The operation, paid for, and what is told of its cost; raises `Refused`."""
        trusted = self._trusted
        document = None if trusted is None else trusted.find(call.query, call.document_id, rights.documents)
        if document is None:
            if not call.query:
                raise nothing_asked(call.document_id)
            found = self.documents.find(call.query, suggestions=rights.suggestions)
            if isinstance(found, Unread):
                await self._paid(rights, found.cost)
                found = self.documents.read(found, partial(self._weigh, call))
            if trusted is not None:
                trusted.runs(found, rights.documents, rights.principal)
            document = found
        operation = document.operation(call.operation_name)
        if self.tracing is not None:
            self.tracing.found(operation)
        if operation.kind not in kinds:
            raise _wrong_kind(operation, kinds)
        cost = operation.price(call.variables)
        remaining = await self._paid(rights, max(cost, 1))  # nothing is for nothing
        return operation, {"cost": self._limits.told(cost, remaining)}

    def _weigh(self, call: Call, document: Document) -> None:
        """Before validation, which takes several times as long. Raises `Refused`."""
        operation = document.asked(call.operation_name)
        if operation is None:
            return
        try:
            operation.price(call.variables)
        except Refused:
            if self.tracing is not None:
                self.tracing.found(operation)
            raise

    async def _paid(self, rights: Rights, cost: int) -> int | None:
        """What remains of the caller's budget, where there is one."""
        if self._purse is None:
            return None
        remaining = self._purse.spend(rights.principal, cost, self._limits)
        return remaining if isinstance(remaining, int) else await remaining

    async def _executed(
        self, operation: Operation, call: Call, context: Forkable | None, rights: Rights, watch: Meter
    ) -> Answer:
        watch.started()
        started = perf_counter()
        errors: list[GraphQLError] | None = None
        try:
            executor = _executor(operation, call, context, rights)
            if isinstance(executor, list):
                errors = self._shown(executor, call, context)
                return Answer(None, errors, refused=True, status=HTTPStatus.BAD_REQUEST, meter=watch)
            result: Any = executor.execute_operation()
            if isawaitable(result):
                result = await result
            errors = self._shown(result.errors, call, context)
            watch.executed(started)
            return Answer(result.data, errors, meter=watch)
        except Exception as error:  # the engine's own: those of fields are in the result
            errors = self._shown([_of(error)], call, context)
            return Answer(None, errors, status=HTTPStatus.INTERNAL_SERVER_ERROR, meter=watch)
        finally:
            watch.ended(errors)

    async def _begun(
        self, operation: Operation, call: Call, context: Forkable | None, rights: Rights, watch: Meter
    ) -> "Answer | Subscription":
        """One that cannot begin is refused."""
        watch.started()
        begun: Any = None
        errors: list[GraphQLError] | None = None
        try:
            begun = await _begun(operation, call, context, rights)
            if not isinstance(begun, list):
                executor, source = begun
                return Begun(operation=operation, watch=watch, executor=executor, source=source)
            errors = self._shown(begun, call, context)
            return Answer(None, errors, refused=True, status=HTTPStatus.BAD_REQUEST, meter=watch)
        except Exception as error:
            errors = self._shown([_of(error)], call, context)
            return Answer(None, errors, broken=True, meter=watch)
        finally:
            if not isinstance(begun, tuple):
                watch.ended(errors)

    async def _part(self, joinable: "Joinable", call: Call, context: Forkable | None) -> "Answer | Subscription":
        begun = await self._begun(joinable.operation, call, context, joinable.rights, joinable.watch.part)
        if isinstance(begun, Begun):
            begun.span = joinable.span
        return begun

    async def _event(self, subscription: "Begun", payload: Any, call: Call, context: Forkable | None) -> Answer:
        started = perf_counter()
        subscription.executor = executor = subscription.executor.for_event(payload)
        result: Any = executor.execute_operation(False)
        if not isinstance(result, ExecutionResult):
            result = await result
        errors = self._shown(result.errors, call, context)
        subscription.watch.executed(started)
        ITEMS.inc()
        key, event_id = subscription.operation.shape.key(payload), getattr(payload, "event_id", None)
        return Answer(result.data, errors, meter=subscription.watch, key=key, event_id=event_id)

    def _refusal(self, error: Refused, call: Call, context: Forkable | None) -> Answer:
        errors = self._shown(error.errors, call, context) or []
        refused(errors)
        cost = None if error.cost is None else {"cost": error.cost}
        return Answer(None, errors, cost, refused=True, status=error.status, retry_after_s=error.retry_after_s)

    def _shown(
        self, errors: list[GraphQLError] | None, call: Call, context: Forkable | None
    ) -> list[GraphQLError] | None:
        """Through Strawberry's public hook, which knows whose errors they are by the context alone."""
        if not errors:
            return None
        execution = ExecutionContext(call.query, self.schema, (), context, call.variables)
        self.schema.process_errors(errors, execution)
        return errors


@dataclass(slots=True, kw_only=True)
class Subscription:
    """That is paid for. `span` is that of its start."""

    operation: Operation
    watch: Meter
    extensions: Mapping[str, Any] | None = None
    span: Any = None


@dataclass(slots=True, kw_only=True)
class Begun(Subscription):
    """Its source is a generator: Strawberry has no other."""

    executor: Executor
    source: AsyncGenerator[Any, None]


@dataclass(slots=True, kw_only=True)
class Joinable(Subscription):
    """One whose news can be shared: it begins in parts."""

    call: Call
    rights: Rights

    @property
    def key(self) -> Hashable:
        """The same for all whose news is the same, as far as they have said."""
        return self.operation, self.operation.shape.fingerprint(self.call.variables), self.rights.suggestions

    @property
    def after(self) -> str | None:
        """The event that this subscriber goes on after."""
        return self.operation.shape.after(self.call.variables)

    @property
    def news_call(self) -> Call:
        """Without what only this subscriber has asked for."""
        return replace(self.call, variables=self.operation.shape.of_news(self.call.variables))


async def _begun(
    operation: Operation, call: Call, context: Forkable | None, rights: Rights
) -> tuple[Executor, AsyncGenerator[Any, None]] | list[GraphQLError]:
    executor = _executor(operation, call, context, rights)
    if isinstance(executor, list):
        return executor
    source: Any = create_source_event_stream(executor)
    if isawaitable(source):
        source = await source
    return (source.errors or []) if isinstance(source, ExecutionResult) else (executor, source)


def _executor(
    operation: Operation, call: Call, context: Forkable | None, rights: Rights
) -> Executor | list[GraphQLError]:
    return Executor.of(
        operation.plan,
        context=context,
        variables=call.variables,
        introspection=rights.introspection,
        hide_suggestions=not rights.suggestions,
    )


def _wrong_kind(operation: Operation, kinds: frozenset[str]) -> Refused:
    message = f"this way takes {' and '.join(sorted(kinds))} operations, not a {operation.kind}"
    error = GraphQLError(message, operation.node, extensions=dict(INVALID))
    return Refused([error], status=HTTPStatus.METHOD_NOT_ALLOWED)


def _of(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
