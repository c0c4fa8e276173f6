"""Who may do what with the GraphQL engine itself: look at the schema, and on whose budget."""

from collections.abc import Callable

from domain.actor import Actor
from domain.errors import Forbidden, Unauthenticated
from gateways.graphql import Rights
from voltgraph.settings import Settings

_ANONYMOUS = Unauthenticated("introspection needs a credential")
_REFUSED = Forbidden("this role may not introspect")


def rights(settings: Settings) -> Callable[[Actor | None, str | None], Rights]:
    """Of an actor, or of whoever shows no credential: those pay by the address they come from.

    Whoever may not read the schema is not told the names in it by suggestions either.
    """
    introspecting = frozenset(settings.graphql_introspection)

    def of(actor: Actor | None, host: str | None) -> Rights:
        if actor is None:
            return Rights(f"anonymous:{host}", introspection=_ANONYMOUS, suggestions=False)
        may = actor.role in introspecting
        principal = f"{actor.tenant_id}:{actor.id or actor.name}"
        return Rights(principal, introspection=None if may else _REFUSED, suggestions=may)

    return of
