"""A station that is given new passwords, and takes them or not, with or without a word: it always gets in with the one
that it has, and nobody with one that it has left behind."""

from contextlib import suppress
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import stations
from domain.actor import Role
from domain.errors import Conflict, Unauthenticated
from tests.factories import a_station
from tests.tester import Tester

pytestmark = pytest.mark.anyio

# A new password is offered, which the station takes or not, and of which it says so, or nothing.
offers = st.tuples(st.just("offer"), st.booleans(), st.booleans())
steps = st.one_of(offers, offers, st.just(("come",)), st.just(("set",)))


class Box:
    """A station, and which passwords the door may open to: its own, and those that it may have taken since."""

    def __init__(self, tester: Tester, station: stations.Station, password: str) -> None:
        self.tester, self.station = tester, station
        self.has = self.shown = password
        self.offered: list[str] = []
        self.issued = [password, "never-issued"]

    def _new(self) -> str:
        self.issued.append(f"password-{len(self.issued)}")
        return self.issued[-1]

    async def offer(self, takes: bool, says: bool) -> None:
        new = self._new()
        async with self.tester.work() as work:
            with suppress(Conflict):
                await stations.offer_password(work, station_id=self.station.id, password=new)
                self.offered.append(new)
        if new not in self.offered:
            assert len(self.offered) == 3, "there was room for another"
            return
        if takes:
            self.has = new
        if says:
            async with self.tester.work() as work:
                await stations.settle_password(work, station_id=self.station.id, password=new, is_taken=takes)
            self.offered = [new] if takes else self.offered[:-1]

    async def come(self) -> None:
        """Also a second time, with what it has."""
        for _ in range(2):
            assert await self._opens(self.has), "the station is locked out"
        if self.has in self.offered:
            self.shown, self.offered = self.has, []

    async def set(self) -> None:
        """An operator has given both sides another."""
        self.has = self.shown = self._new()
        self.offered = []
        async with self.tester.work() as work:
            await stations.update(work, station_id=self.station.id, password=self.has)

    async def keeps_others_out(self) -> None:
        for password in self.issued:
            if password != self.shown and password not in self.offered:
                assert not await self._opens(password), f"{password} still opens the door"

    async def _opens(self, password: str) -> bool:
        try:
            async with self.tester.work(role=Role.STATION) as work:
                await stations.admit(work, identity=self.station.identity, password=password.encode())
        except Unauthenticated:
            return False
        return True


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(steps, min_size=1, max_size=8))
async def test_a_station_gets_in_with_what_it_has_and_with_nothing_that_it_has_left(
    acme: Tester, script: list[tuple[str, bool, bool] | tuple[str]]
) -> None:
    station = await a_station(acme, f"CP-{uuid4().hex[:8]}", password="password-0")
    box = Box(acme, station, "password-0")
    for name, *how in script:
        await getattr(box, name)(*how)
        await box.keeps_others_out()
    await box.come()
    await box.keeps_others_out()

    async with acme.work(read_only=True) as work:
        kept = await stations.by_id(work, station.id)
    assert kept.password_pending == bool(box.offered)
