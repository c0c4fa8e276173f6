"""Types that show domain objects as they are: `@view(stations.Station)`.

Plain fields keep Strawberry's default resolver (an attribute read, no call), so nothing is converted or copied; a name
that the domain object does not have fails when the module is imported, not when somebody asks for it.
"""

import inspect
import typing
from collections.abc import Callable
from dataclasses import is_dataclass
from types import NoneType
from typing import Any, TypeVar

import strawberry
from strawberry.types.base import StrawberryOptional, get_object_definition
from strawberry.types.field import StrawberryField

from schema.limits import Cost, Size

Shown = TypeVar("Shown", bound=type)

EVENT_ID = "What `after` takes to go on from here; null for what no event has told of."


def view(model: type, *, name: str | None = None) -> Callable[[Shown], Shown]:
    """A type whose plain fields are attributes of `model`; its docstring is its description."""

    def decorate(cls: Shown) -> Shown:
        description = " ".join(inspect.cleandoc(cls.__doc__).split()) if cls.__doc__ else None
        shown = strawberry.type(cls, name=name, description=description)
        for field in get_object_definition(shown, strict=True).fields:
            if field.is_basic_field:
                _check(model, shown, field)
        return shown

    return decorate


def member(model: type) -> Callable[[Shown], Shown]:
    """A view that is one of a union: it is found by the object's class. It goes off the compiled path for that."""

    def decorate(cls: Shown) -> Shown:
        cls.is_type_of = classmethod(lambda _cls, shown, _info: isinstance(shown, model))  # type: ignore[attr-defined]
        return view(model)(cls)

    return decorate


def attribute(description: str, *, name: str | None = None, size: Size | None = None) -> Any:
    """A plain field: the attribute of the same name, under `name` where the outside calls it otherwise."""
    return strawberry.field(description=description, name=name, metadata=_weighed(None, size))


def answer(
    resolver: Callable[..., Any],
    description: str,
    *,
    name: str | None = None,
    cost: Cost | None = None,
    size: Size | None = None,
) -> Any:
    """A field that a resolver answers, under `name` where Python has that for itself. The field's own annotation says
    as what it is shown."""
    return strawberry.field(resolver=resolver, description=description, name=name, metadata=_weighed(cost, size))


def stream(
    resolver: Callable[..., Any],
    description: str,
    *,
    cost: Cost | None = None,
    coalesce: bool = True,
    conflate: Callable[[Any], str | None] | None = None,
) -> Any:
    """A field of the subscription root.

    `coalesce`: its news depends on nothing of the caller but the context's `scope`, and is made once for all who ask
    for the same. `conflate`: from an item to what it is the latest value of, None for a fact.
    """
    metadata = {**_weighed(cost, None), "coalesce": coalesce, "conflate": conflate}
    return strawberry.subscription(resolver=resolver, description=description, metadata=metadata)


def _weighed(cost: Cost | None, size: Size | None) -> dict[str, Any]:
    """What the engine reads of a field, see `schema.limits`."""
    return {name: value for name, value in (("cost", cost), ("size", size)) if value is not None}


def _check(model: type, cls: type, field: StrawberryField) -> None:
    annotation = _annotation(model, field.python_name)
    if annotation is None:
        raise TypeError(f"{cls.__name__} shows {field.python_name}, which {model.__name__} does not have")
    if NoneType in typing.get_args(annotation) and not isinstance(field.type, StrawberryOptional):
        raise TypeError(f"{cls.__name__}.{field.python_name} may be None in {model.__name__}: show it as nullable")


def _annotation(model: type, name: str) -> Any:
    """The type of a property, or of a field of SQLModel, dataclass or tuple; None where there is neither."""
    member = inspect.getattr_static(model, name, None)
    if isinstance(member, property):
        return typing.get_type_hints(member.fget).get("return", Any)
    if is_dataclass(model) or issubclass(model, tuple):
        return typing.get_type_hints(model).get(name)
    field = getattr(model, "model_fields", {}).get(name)
    return None if field is None else field.annotation
