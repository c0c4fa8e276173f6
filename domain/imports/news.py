"""How far an import has come is for eyes: whoever watches may look it up again."""

from uuid import UUID

from domain.bus import Message, Topic

PROGRESSED = "import.progressed"


def progressed(tenant_id: UUID, import_id: UUID) -> Message:
    """Of several that wait the last is enough."""
    return Message(Topic(tenant_id, PROGRESSED, str(import_id)), str(import_id).encode(), conflate=str(import_id))


def progress_of(payload: bytes) -> UUID:
    return UUID(payload.decode())
