from collections.abc import Mapping, Sequence

from sqlmodel import col, select

from domain.meters.models import Meter
from domain.points import Adoption, Owner, OwnerKind
from domain.work import Work


class MetersAdopt(Adoption):
    """What is recorded under `meter/<name>/` belongs to that meter, if there is one by then."""

    async def owners(self, work: Work, addresses: Sequence[str]) -> Mapping[str, Owner]:
        names = {address: address.split("/")[1] for address in addresses if _is_under_a_meter(address)}
        if not names:
            return {}
        query = select(Meter.name, Meter.id).where(col(Meter.name).in_(set(names.values())))
        owners = {name: Owner(OwnerKind.METER, meter_id) for name, meter_id in await work.session.exec(query)}
        return {address: owners[name] for address, name in names.items() if name in owners}


def _is_under_a_meter(address: str) -> bool:
    return address.startswith("meter/") and address.count("/") >= 2
