"""That a virtual point is made of something else now: whoever listens to it listens to its inputs."""

from uuid import UUID

from domain.bus import Message, Topic

KIND = "virtual_point"


def changed_topic(tenant_id: UUID) -> Topic:
    """Where it is told that virtual points were created, changed or deleted."""
    return Topic(tenant_id, KIND)


def changed(tenant_id: UUID, address: str) -> Message:
    return Message(changed_topic(tenant_id), address.encode(), conflate=address)
