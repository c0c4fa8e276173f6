"""A selection as one Python function: an attribute read and a type check a field, then one dictionary.

The source holds names of Python attributes and numbers, nothing from a document: keys of the answer, types and
resolvers are handed over as variables. So documents that select the same attributes share the compiled code.
"""

from collections.abc import Callable
from functools import lru_cache
from keyword import iskeyword
from textwrap import indent
from typing import Any, Final, TypeGuard

from graphql import GraphQLScalarType, Undefined, is_non_null_type

from gateways.graphql.completion import SETTLED, gathered, settle
from gateways.graphql.execution import CompleteAt
from gateways.graphql.fields import Attribute, Field, Typename
from gateways.graphql.leaves import CHECKS, ORDINARY, SURPRISE, completes, is_strawberry_enum, member_names

NOTHING: Final = object()
SHAPES_REMEMBERED = 512
Given = dict[str, Any]

# `done` and `value` say where the straight way ended: at a field whose value is no plain one, or at a run of reads of
# which one raised. From there `resume` goes on field by field.
FUNCTION = """\
def make({given}):
    def complete(executor, source, where):
        waiting = None
        try:
            while True:
{body}
                if waiting is not None:
                    return gathered({{{results}}}, waiting)
                return {{{results}}}
        except Exception:
            if waiting is not None:
                settle(executor, waiting.values())
            raise
        return resume(executor, source, where, done, value, waiting or {{}})
    return complete
"""
READS = """\
try:
{lines}
except Exception:
    done, value = ({done}), NOTHING
    break
"""
AWAITED = """\
if type(v{n}) not in SETTLED and executor.is_awaitable(v{n}):
    waiting = waiting or {{}}
    waiting[k{n}] = v{n}
"""
CHECKED = """\
v{n} = source.{name}
if not ({fit}):
    value = v{n}
    v{n} = complete{n}(value)
    if v{n} is SURPRISE:
        done = ({done})
        break
"""
COERCED = """\
value = source.{name}
v{n} = {null}coerce{n}(value) if ORDINARY[type(value)] else None
if v{n} is None{not_null} or v{n} is Undefined:
    done = ({done})
    break
"""
NAMED = """\
value = source.{name}
v{n} = names{n}(id(value))
if v{n} is None{not_null}:
    v{n} = complete{n}(value)
    if v{n} is SURPRISE:
        done = ({done})
        break
"""


def compiled(fields: list[Field], resume: Callable[..., Any]) -> CompleteAt:
    given: Given = {
        "resume": resume,
        "gathered": gathered,
        "settle": settle,
        "NOTHING": NOTHING,
        "SETTLED": SETTLED,
        "ORDINARY": ORDINARY,
        "SURPRISE": SURPRISE,
        "Undefined": Undefined,
    }
    body = "".join(_blocks(fields, given))
    results = ", ".join(f"k{n}: v{n}" for n in range(len(fields)))
    return _made(FUNCTION.format(given=", ".join(given), body=indent(body, " " * 16), results=results))(**given)


@lru_cache(SHAPES_REMEMBERED)
def _made(source: str) -> Callable[..., CompleteAt]:
    names: dict[str, Any] = {}
    exec(compile(source, "<selection>", "exec"), {}, names)  # noqa: S102
    made: Callable[..., CompleteAt] = names["make"]
    return made


def _blocks(fields: list[Field], given: Given) -> list[str]:
    """Runs of reads share a `try`. What completes by a call of its own stands outside: it handles its errors."""
    blocks: list[str] = []
    lines: list[str] = []
    begin = 0

    def close() -> None:
        if lines:
            blocks.append(READS.format(lines=indent("".join(lines), " " * 4), done=_values(begin)))
            lines.clear()

    for n, field in enumerate(fields):
        given[f"k{n}"] = field.key
        begin = begin if lines else n
        if isinstance(field, Typename):
            given[f"v{n}"] = field.parent_name
        elif _is_readable(field) and (leaf := _leaf(n, field, given)):
            lines.append(leaf)
        elif _is_readable(field):
            lines.append(f"v{n} = source.{field.name}\n")
            close()
            given[f"finish{n}"] = field.finish
            blocks.append(f"v{n} = finish{n}(executor, v{n}, where)\n" + AWAITED.format(n=n))
        else:
            close()
            given[f"execute{n}"] = field.execute
            blocks.append(f"v{n} = execute{n}(executor, source, where)\n" + AWAITED.format(n=n))
    close()
    return blocks


def _is_readable(field: Field) -> TypeGuard[Attribute]:
    return isinstance(field, Attribute) and field.name.isidentifier() and not iskeyword(field.name)


def _values(count: int) -> str:
    return "".join(f"v{n}, " for n in range(count))


def _leaf(n: int, field: Attribute, given: Given) -> str | None:
    """The lines that read and complete it; None for what is no leaf or list of leaves."""
    complete = completes(field.return_type)
    if complete is None:
        return None
    given[f"complete{n}"] = complete
    nullable = not is_non_null_type(field.return_type)
    named: Any = field.return_type if nullable else field.return_type.of_type  # type: ignore[union-attr]
    names = {"n": n, "name": field.name, "done": _values(n), "not_null": " and value is not None" if nullable else ""}
    if is_strawberry_enum(named):
        given[f"names{n}"] = member_names(named).get
        return NAMED.format(**names)
    if isinstance(named, GraphQLScalarType) and named not in CHECKS:
        given[f"coerce{n}"] = named.coerce_output_value
        return COERCED.format(**names, null="None if value is None else " if nullable else "")
    fits = [f"v{n} is None"] if nullable else []
    if named in CHECKS:
        fits.append(CHECKS[named].format(f"v{n}"))
    return CHECKED.format(**names, fit=" or ".join(fits) or "False")
