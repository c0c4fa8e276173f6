"""Who is let in: the address names tenant and station, the domain decides."""

from collections.abc import Sequence
from functools import cache, partial
from uuid import UUID

from domain.actor import Actor, Role, system, tenant_by_slug
from domain.errors import NotFound, Unauthenticated
from domain.gathering import Gathering
from domain.stations import Knock, Recognized, Station, admit, recognize
from domain.work import Workplace
from gateways.ocpp.attempts import Attempts
from gateways.ocpp.link import Admission

AT_ONCE = 100


class HouseGate:
    """OCPP-J 1.6 security whitepaper, 2.1 and 2.0.1 part 4: HTTP Basic, the identity being the user name."""

    def __init__(self, workplace: Workplace, *, attempts: Attempts) -> None:
        self._workplace = workplace
        self._attempts = attempts
        self._tenants: dict[str, UUID] = {}  # a slug keeps its tenant, and only known ones are kept
        self._door = cache(lambda tenant_id: Gathering(partial(self._look, tenant_id), at_once=AT_ONCE))

    async def admit(
        self, tenant_slug: str, identity: str, version: str, basic: tuple[str, bytes] | None, peer: str
    ) -> Admission:
        tenant_id = await self._tenant(tenant_slug)
        stranger = (tenant_id, identity, peer)
        self._attempts.check(stranger)
        try:
            station = await self._admit(tenant_id, identity, basic)
        except Unauthenticated:
            self._attempts.failed(stranger)
            raise
        self._attempts.succeeded(stranger)
        return Admission(
            actor=Actor(tenant_id=tenant_id, role=Role.STATION, name=identity, id=station.id),
            tenant_id=tenant_id,
            station_id=station.id,
            peer=peer,
            registration=station.registration,
        )

    async def _admit(self, tenant_id: UUID, identity: str, basic: tuple[str, bytes] | None) -> Station | Recognized:
        if basic is not None and basic[0] != identity:
            raise Unauthenticated("the user name must be the station's identity")
        password = None if basic is None else basic[1]
        known = await self._door(tenant_id).ask(Knock(identity, password))
        if known is not None:
            return known
        actor = Actor(tenant_id=tenant_id, role=Role.STATION, name=identity)
        async with self._workplace.open_work(actor) as work:
            return await admit(work, identity=identity, password=password)

    async def _look(self, tenant_id: UUID, knocks: Sequence[Knock]) -> Sequence[Recognized | None]:
        async with self._workplace.open_work(system(tenant_id, "ocpp"), read_only=True) as work:
            return await recognize(work, knocks)

    async def _tenant(self, slug: str) -> UUID:
        if slug not in self._tenants:
            tenant_id = await tenant_by_slug(self._workplace.engine, slug)
            if tenant_id is None:
                raise NotFound(f"tenant {slug} does not exist")
            self._tenants[slug] = tenant_id
        return self._tenants[slug]
