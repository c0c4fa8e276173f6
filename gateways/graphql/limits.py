"""How much one operation may ask for, and what is answered to whoever asks for more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError
from prometheus_client import Counter

LIMIT = {"code": "LIMIT"}
INVALID = {"code": "INVALID"}

REFUSALS = Counter(
    "voltgraph_graphql_refusals_total",
    "Operations that were not begun because they ask for too much, by the limit",
    ["limit"],
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one document, but for `cost`, which is of one operation with its variables.

    A generated client's largest document is a few hundred tokens; GraphiQL's introspection has 350 at most, 15 levels
    of which none counts, 3 fragments and no alias.
    """

    characters: int = 32_000  # hashing and scanning take time even where they find nothing
    tokens: int = 2_000  # comments among them; parsing and validating take 30 µs and more for each
    depth: int = 15  # of nested fields, fragments unfolded; introspection is not counted
    nesting: int = 35  # of braces, inline fragments and introspection among them
    fields: int = 2_000  # fragments unfolded, so that without any the tokens are reached first
    root_fields: int = 30  # each is a statement of its own to the database, and all run at once
    aliases: int = 50  # a field asked twice needs one
    directives: int = 50
    definitions: int = 50  # operations and fragments: validation compares every two fragments that meet
    repeats: int = 50  # fields named again in one selection: validation compares every two of them
    cost: int = 10_000  # see `measure`; the largest page of stations with all that hangs on them is half of it

    def told(self, requested: int, remaining: int | None = None) -> dict[str, int]:
        """What `extensions.cost` says; `remaining` is of the budget, where there is one."""
        told = {"requested": requested, "maximum": self.cost}
        return told if remaining is None else told | {"remaining": remaining}


class Refused(Exception):
    """Nothing was executed. `limit` is None where the request is not too much but wrong."""

    def __init__(
        self,
        errors: Sequence[GraphQLError],
        *,
        limit: str | None = None,
        status: int = 400,
        cost: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = list(errors)
        self.limit = limit
        self.status = status
        self.cost = cost
        self.retry_after_s = retry_after_s
        if limit is not None:
            REFUSALS.labels(limit).inc()


def wrong(message: str) -> Refused:
    """The request makes no sense."""
    return Refused([GraphQLError(message, extensions=dict(INVALID))])


def too_much(
    limit: str,
    message: str,
    *,
    status: int = 400,
    cost: Mapping[str, Any] | None = None,
    retry_after_s: int | None = None,
) -> Refused:
    """The request makes sense and is more than we do."""
    extensions: dict[str, Any] = LIMIT | {"limit": limit}
    if retry_after_s is not None:
        extensions["retryAfter"] = retry_after_s
    error = GraphQLError(message, extensions=extensions)
    return Refused([error], limit=limit, status=status, cost=cost, retry_after_s=retry_after_s)
