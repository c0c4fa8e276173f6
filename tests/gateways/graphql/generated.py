"""Schemas, data and documents by chance, with all that can be odd about them."""

import asyncio
import enum
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from random import Random
from types import GenericAlias
from typing import Annotated, Any, ClassVar, NewType
from uuid import UUID

import strawberry
from strawberry.schema.config import StrawberryConfig

Info = strawberry.Info[Any, Any]


class Mood(enum.Enum):
    CALM = 1
    ANGRY = 2


class Color(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Word(str):
    """A string that is not exactly one."""

    __slots__ = ()


MOOD = strawberry.enum(Mood)
COLOR = strawberry.enum(Color)
Picky = NewType("Picky", object)


def picky_out(value: Any) -> Any:
    """A scalar of the program's own, which refuses some values and makes nothing of others."""
    if value == 13:
        raise ValueError("unlucky")
    return None if value == 0 else f"<{value}>"


PICKY = strawberry.scalar(name="Picky", serialize=picky_out, parse_value=str)
CONFIG = StrawberryConfig(scalar_map={Picky: PICKY})

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GOOD: dict[Any, list[Any]] = {
    str: ["", "a", "é\n", Word("w"), Color.RED],
    int: [0, 1, -(2**31), 2**31 - 1, True, 3.0, "4", Decimal(5)],
    float: [0.0, 1.5, -2.0, 3, True, "4.5", Decimal("1.5"), 1e308],
    bool: [True, False, 0, 1.0],
    strawberry.ID: ["x", 7, UUID(int=1), Word("w")],
    MOOD: [Mood.CALM, Mood.ANGRY, 1],
    COLOR: [Color.RED, Color.BLUE, "blue"],
    datetime: [MOMENT, MOMENT.replace(tzinfo=None)],
    UUID: [UUID(int=5), "no uuid"],
    Decimal: [Decimal("1.50"), 2],
    strawberry.scalars.JSON: [{"a": [1, None]}, [], "text", 0],
    Picky: [1, 2, "three"],
}
BAD: list[Any] = [
    None,
    "wrong",
    2**31,
    float("nan"),
    float("inf"),
    1.5,
    [],
    [1],
    {},
    object,
    0,
    13,
    b"bytes",
    Mood.CALM,
    ValueError("a value that is an error"),
    MOMENT,
]


NEARLY: dict[Any, list[Any]] = {
    float: [float("nan"), float("inf"), -float("inf")],
    int: [2**31, -(2**31) - 1, 1.5, float("nan")],
    str: [float("nan"), b"bytes"],
}


class Late:
    """Read as something to await, a coroutine or an object of its own."""

    made: ClassVar[list[Any]] = []

    def __init__(self, value: Any, turns: int, is_coroutine: bool) -> None:
        self.value = value
        self.turns = turns
        self.is_coroutine = is_coroutine

    def read(self) -> Any:
        awaitable = self.come() if self.is_coroutine else Coming(self)
        Late.made.append(awaitable)
        return awaitable

    async def come(self) -> Any:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        return found(self.value)


class Coming:
    is_awaited = False

    def __init__(self, late: Late) -> None:
        self._late = late

    def __await__(self) -> Any:
        self.is_awaited = True
        return self._late.come().__await__()

    def close(self) -> None:
        pass


def unawaited() -> int:
    """How many of those made since the last time nobody has awaited."""
    left = [one for one in Late.made if not _is_awaited(one)]
    Late.made.clear()
    for one in left:
        one.close()
    return len(left)


def _is_awaited(made: Any) -> bool:
    if isinstance(made, Coming):
        return made.is_awaited
    return inspect.getcoroutinestate(made) != inspect.CORO_CREATED


@dataclass
class Raised:
    """Read as an error."""

    message: str


@dataclass
class Lazy:
    """Read as an iterable that is no list."""

    values: list[Any]
    make: Callable[[list[Any]], Any]


async def one_by_one(values: list[Any]) -> AsyncIterator[Any]:
    for value in values:
        yield value


def yielded(values: list[Any]) -> Iterator[Any]:
    yield from values


class Items(list[Any]):
    pass


ITERABLES: list[Callable[[list[Any]], Any]] = [yielded, one_by_one, tuple, Items, iter]


def found(value: Any) -> Any:
    """What reading gives: anew each time for what can be had but once."""
    if (message := _raised(value)) is not None:
        raise RuntimeError(message)  # before anything has been made that nobody would await
    return _made(value)


def _raised(value: Any) -> str | None:
    if isinstance(value, Raised):
        return value.message
    values = value.values if isinstance(value, Lazy) else value if type(value) is list else ()
    return next(filter(None, map(_raised, values)), None)


def _made(value: Any) -> Any:
    if isinstance(value, Late):
        return value.read()
    if isinstance(value, Lazy):
        return value.make([*map(_made, value.values)])
    return [*map(_made, value)] if type(value) is list else value


@dataclass
class Shape:
    """Of a type: `kind` is a leaf type, a `Drawn`, or `Shape` for a list."""

    kind: Any
    nullable: bool

    @property
    def annotation(self) -> Any:
        inner = self.kind
        if isinstance(inner, Shape):
            inner = GenericAlias(list, (inner.annotation,))
        elif isinstance(inner, Drawn):
            inner = inner.shown
        return inner | None if self.nullable else inner

    @property
    def drawn(self) -> "Drawn | None":
        if isinstance(self.kind, Shape):
            return self.kind.drawn
        return self.kind if isinstance(self.kind, Drawn) else None


@dataclass
class Drawn:
    """A type with fields. `members` are the types that may stand for it, itself where it is an object."""

    name: str
    fields: dict[str, Shape] = field(default_factory=dict)
    arguments: set[str] = field(default_factory=set)
    members: list["Drawn"] = field(default_factory=list)
    shown: Any = None
    data: Any = None

    @property
    def is_object(self) -> bool:
        return self.members == [self]


class World:
    """A schema's types and the means to make data and documents for them."""

    def __init__(self, random: Random, *, faults: float) -> None:
        self.random = random
        self.faults = faults
        self.types: list[Drawn] = []
        for number in reversed(range(random.randint(2, 4))):
            self.types.append(self._object(f"T{number}", random.random() < 0.3))
        self.types += self._abstract()
        self.query = self._object("Query", False)
        self.event = self._object("Event", False)

    def _abstract(self) -> list[Drawn]:
        """The interface, and a union of two of the types."""
        abstract: list[Drawn] = []
        if members := [one for one in self.types if "name" in one.fields]:
            abstract.append(Drawn("Named", {"name": Shape(str, True)}, members=members, shown=Named))
        if self.random.random() < 0.5:
            members = self.random.sample(self.types, 2)
            union: Any = reduce(or_, [one.shown for one in members])
            abstract.append(Drawn("U", members=members, shown=Annotated[union, strawberry.union("U")]))
        return abstract

    def _object(self, name: str, has_interface: bool) -> Drawn:
        drawn = Drawn(name)
        drawn.members = [drawn]
        body: dict[str, Any] = {"__annotations__": {}}
        for number in range(self.random.randint(2, 6)):
            self._field(drawn, body, f"{name.lower()}{'abcdef'[number]}")
        bases = (Named,) if has_interface else ()
        drawn.shown = strawberry.type(type(name, bases, body))
        drawn.data = _data_class(drawn)
        if has_interface:
            drawn.fields["name"] = Shape(str, True)
        return drawn

    def _field(self, drawn: Drawn, body: dict[str, Any], name: str) -> None:
        shape = drawn.fields[name] = self._shape(depth=0)
        match self.random.randrange(6):
            case 0:
                body[name] = strawberry.field(resolver=_resolver(name, shape))
            case 1:
                body[name] = strawberry.field(resolver=_later(name, shape, self.random.randrange(3)))
            case 2:
                body[name] = strawberry.field(resolver=_asked(name, shape))
                drawn.arguments.add(name)
            case _:
                body["__annotations__"][name] = shape.annotation

    def _shape(self, *, depth: int) -> Shape:
        nullable = self.random.random() < 0.5
        if depth < 3 and self.random.random() < 0.25:
            return Shape(self._shape(depth=depth + 1), nullable)
        if self.types and self.random.random() < 0.4:
            return Shape(self.random.choice(self.types), nullable)
        return Shape(self.random.choice([*GOOD]), nullable)

    def value(self, shape: Shape) -> Any:
        if self.random.random() < self.faults:
            return self._fault(shape)
        if shape.nullable and self.random.random() < 0.2:
            return None
        if isinstance(shape.kind, Shape):
            return [self.value(shape.kind) for _ in range(self.random.randrange(4))]
        if isinstance(shape.kind, Drawn):
            return self.thing(self.random.choice(shape.kind.members))
        return self.random.choice(GOOD[shape.kind])

    def _fault(self, shape: Shape) -> Any:
        match self.random.randrange(8):
            case 0:
                return Raised(f"raised {self.random.randrange(100)}")
            case 1 | 2:
                return Late(self.value(shape), self.random.randrange(3), self.random.random() < 0.5)
            case 3 | 4 if isinstance(shape.kind, Shape):
                values = [self.value(shape.kind) for _ in range(self.random.randrange(3))]
                return Lazy(values, self.random.choice(ITERABLES))
            case 5:
                return self.thing(self.types[0])  # which has leaves only
            case 6 if type(shape.kind) is type:
                return self.random.choice(NEARLY.get(shape.kind, BAD))
            case _:
                return self.random.choice(BAD)

    def thing(self, drawn: Drawn) -> Any:
        return drawn.data({name: self.value(shape) for name, shape in drawn.fields.items()})


@strawberry.interface
class Named:
    name: str | None


class Thing:
    """What the types show: whatever was put in, however odd."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __repr__(self) -> str:
        return "<a thing>"

    def read(self, name: str) -> Any:
        return found(self._values[name])


def _data_class(drawn: Drawn) -> Any:
    def attribute(name: str) -> Any:
        return property(lambda self: self.read(name))

    names = [*drawn.fields, "name"]
    return type(drawn.name, (Thing, drawn.shown), {name: attribute(name) for name in names})


def _resolver(name: str, shape: Shape) -> Any:
    def resolve(self: Any) -> Any:
        return self.read(name)

    resolve.__annotations__ = {"return": shape.annotation}
    return resolve


def _later(name: str, shape: Shape, turns: int) -> Any:
    async def resolve(self: Any, info: Info) -> Any:
        for _ in range(turns):
            await asyncio.sleep(0)
        read = self.read(name)
        return await read if inspect.isawaitable(read) else read

    resolve.__annotations__ = {"info": Info, "return": shape.annotation}
    return resolve


def _asked(name: str, shape: Shape) -> Any:
    """A resolver with arguments; strings tell what it was asked, and where it thought it stood."""

    def resolve(self: Any, info: Info, number: Any = 3, moods: Any = None, when: Any = None) -> Any:
        read = self.read(name)
        if type(read) is str:
            raw = info._raw_info
            return f"{read} {number} {moods} {when} {raw.path} {len(raw.field_nodes)} {raw.variable_values}"
        return read

    resolve.__annotations__ = {
        "info": Info,
        "number": int | None,
        "moods": list[Mood] | None,
        "when": datetime | None,
        "return": shape.annotation,
    }
    return resolve


CONDITIONS = [
    "",
    "",
    "",
    "@include(if: $on)",
    "@skip(if: $off)",
    "@skip(if: $on)",
    "@include(if: false)",
    "@skip(if: false)",
]
ARGUMENTS = [
    "",
    "(number: 5)",
    "(number: $number)",
    "(moods: [CALM, ANGRY])",
    "(moods: ANGRY, when: $when)",
    "(number: null)",
]
VARIABLES = {"on": "Boolean!", "off": "Boolean = false", "number": "Int", "when": "DateTime"}


def subscription_of(world: World) -> Any:
    """Its events are whatever the root has."""

    async def events(self: Any, number: Any = 1) -> AsyncIterator[Any]:
        for event in self:
            yield event if isinstance(event, Raised) else found(event)

    yields = GenericAlias(AsyncIterator, (world.event.shown | None,))
    events.__annotations__ = {"number": int, "return": yields}
    return strawberry.type(type("Subscription", (), {"events": strawberry.subscription(resolver=events)}))


class Author:
    """Writes documents for a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random
        self._fragments: dict[str, list[str]] = {}
        self._texts: list[str] = []

    def document(self, kind: str, root: str) -> str:
        body = "\n".join([f"{{ {root} }}", *self._texts])
        declared = [f"${name}: {type_}" for name, type_ in VARIABLES.items() if f"${name}" in body]
        return f"{kind} ({', '.join(declared)}) {body}" if declared else f"{kind} {body}"

    def query(self) -> str:
        return self.document("query", self.selection(self._world.query, 4)[2:-2])

    def subscription(self, field: str) -> str:
        return self.document("subscription", f"{field} {self.selection(self._world.event, 4)}")

    def selection(self, drawn: Drawn, depth: int) -> str:
        parts = [self._part(drawn, depth) for _ in range(self._random.randint(1, 5))]
        return f"{{ {' '.join(parts)} }}"

    def _part(self, drawn: Drawn, depth: int) -> str:
        chance = self._random.random()
        if chance < 0.1 or (not drawn.is_object and chance < 0.2):
            return "__typename"
        if (not drawn.is_object and (not drawn.fields or chance < 0.6)) or (chance < 0.2 and depth > 0):
            within = self._random.choice(drawn.members)
            return f"... on {within.name} {self._condition()} {self.selection(within, depth - 1)}"
        if chance < 0.3 and depth > 0:
            return self._spread(drawn, depth)
        return self._field(drawn, depth)

    def _field(self, drawn: Drawn, depth: int) -> str:
        name = self._random.choice([*drawn.fields])
        shape = drawn.fields[name]
        if shape.drawn is not None and depth <= 0:
            return "__typename"
        which = self._random.randrange(len(ARGUMENTS)) if name in drawn.arguments else 0
        alias = f"{name}_{which}: " if which or self._random.random() < 0.2 else ""
        below = "" if shape.drawn is None else self.selection(shape.drawn, depth - 1)
        return f"{alias}{name}{ARGUMENTS[which]} {self._condition()} {below}"

    def _spread(self, drawn: Drawn, depth: int) -> str:
        known = self._fragments.setdefault(drawn.name, [])
        if not known or self._random.random() < 0.4:
            name = f"f{len(self._texts)}"
            self._texts.append("")  # takes the name before what is below takes it
            place = len(self._texts) - 1
            self._texts[place] = f"fragment {name} on {drawn.name} {self.selection(drawn, depth - 1)}"
            known.append(name)
        else:
            name = self._random.choice(known)
        return f"...{name} {self._condition()}"

    def _condition(self) -> str:
        return self._random.choice(CONDITIONS)


def variables(random: Random) -> dict[str, Any]:
    chosen: dict[str, Any] = {"on": random.random() < 0.5}
    if random.random() < 0.5:
        chosen["off"] = random.random() < 0.5
    if random.random() < 0.5:
        chosen["number"] = random.choice([1, None])
    if random.random() < 0.5:
        chosen["when"] = random.choice(["2026-01-01T00:00:00Z", None])
    return chosen
