from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from domain.events import Event


@dataclass(frozen=True, kw_only=True)
class ImportChanged(Event):
    """Told on the topic `import`, narrower by the import's id, when its status has changed."""

    kind: ClassVar[str] = "import"
    key: ClassVar[str | None] = "import_id"

    import_id: UUID
    status: str
