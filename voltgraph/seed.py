"""Tenants and credentials from the command line, and what the demo starts with."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from uuid_utils.compat import uuid7

from domain import actor, credentials, tenants, tokens
from domain.actor import Role
from domain.errors import Conflict, NotFound
from domain.work import Workplace
from voltgraph.settings import make_data_dir
from voltgraph.wiring import House

DEMO_TENANT = "demo"
DEMO_TOKEN = "DEMO"  # noqa: S105 -- an RFID's uid, not a secret


async def create_tenant(workplace: Workplace, *, slug: str, name: str | None = None, timezone: str = "UTC") -> UUID:
    if await actor.tenant_by_slug(workplace.engine, slug) is not None:
        raise Conflict(f"tenant {slug} exists already")
    async with workplace.open_work(actor.system(uuid7())) as work:
        return (await tenants.create(work, slug=slug, name=name, timezone=timezone)).id


async def create_credential(workplace: Workplace, *, slug: str, role: Role, name: str) -> str:
    """The secret, which is shown this once."""
    tenant_id = await actor.tenant_by_slug(workplace.engine, slug)
    if tenant_id is None:
        raise NotFound(f"tenant {slug} does not exist: voltgraph tenant create {slug}")
    async with workplace.open_work(actor.system(tenant_id)) as work:
        _, secret = await credentials.create(work, name=name, role=role)
        return secret


async def seed_demo(house: House) -> str:
    """Tenant `demo`, its token `DEMO` and an operator's credential, kept beside the data so that it stays the same."""
    tenant_id = await actor.tenant_by_slug(house.workplace.engine, DEMO_TENANT)
    if tenant_id is None:
        tenant_id = await create_tenant(house.workplace, slug=DEMO_TENANT, name="Demo")
        async with house.workplace.open_work(actor.system(tenant_id)) as work:
            await tokens.create(work, uid=DEMO_TOKEN)
    return await _kept_credential(house)


async def _kept_credential(house: House) -> str:
    path = demo_credential_path(make_data_dir(house.settings.data_dir))
    if path.exists():
        secret = path.read_text().strip()
        try:
            await house.door(f"Bearer {secret}")
            return secret
        except Exception:  # revoked, or from another database: a new one takes its place
            path.unlink()
    day = datetime.now(UTC).date().isoformat()
    secret = await create_credential(house.workplace, slug=DEMO_TENANT, role=Role.ADMIN, name=f"demo {day}")
    path.touch(mode=0o600)
    path.write_text(secret + "\n")
    return secret


def demo_credential_path(data_dir: Path) -> Path:
    return data_dir / "demo.credential"
