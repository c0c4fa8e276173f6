"""Who may do what with the GraphQL engine itself: look at the schema, ask what was not foreseen, on whose budget."""

from collections.abc import Callable

from domain.actor import Actor, Role
from domain.errors import Forbidden, Unauthenticated
from gateways.graphql import Mode, Rights
from voltgraph.settings import Settings

_ANONYMOUS = Unauthenticated("introspection needs a credential")
_REFUSED = Forbidden("this role may not introspect")


def rights(settings: Settings) -> Callable[[Actor | None, str | None], Rights]:
    """Of an actor, or of whoever shows no credential: those pay by the address they come from.

    Whoever may not read the schema is not told the names in it by suggestions either.
    """
    introspecting = frozenset(settings.graphql_introspection)
    otherwise = Mode(settings.documents_mode.get(None, Mode.OFF))
    modes = {role: Mode(settings.documents_mode.get(role, otherwise)) for role in Role}

    def of(actor: Actor | None, host: str | None) -> Rights:
        if actor is None:
            principal = f"anonymous:{host}"
            return Rights(principal, introspection=_ANONYMOUS, suggestions=False, documents=otherwise, named=False)
        may = actor.role in introspecting
        principal = f"{actor.tenant_id}:{actor.id or actor.name}"
        introspection = None if may else _REFUSED
        return Rights(principal, introspection=introspection, suggestions=may, documents=modes[actor.role])

    return of
