from collections.abc import AsyncGenerator
from datetime import datetime

import strawberry

from domain import imports
from domain.imports import ImportStatus
from resolvers import imports as door
from schema import limits
from schema.page import Connection
from schema.view import answer, attribute, stream, view


@view(imports.RowError)
class ImportRowError:
    """What is wrong with a row, or a cell of a wide file."""

    line: int = attribute("In which it begins, from 1.")
    message: str = attribute("What is wrong.")


@view(imports.Column)
class ImportColumn:
    """As what a column was read."""

    name: str = attribute("Its header.")
    meaning: str = attribute(
        "What it tells: at, address, value, text, quality, unit, version; of a wide file, whose values."
    )


@view(imports.Import)
class Import:
    """A file of readings on its way in, and what became of it."""

    id: strawberry.ID = attribute("Ours.")
    name: str | None = attribute("Of the file.")
    actor: str = attribute("Who began it.")
    status: ImportStatus = attribute("What became of it.")
    upload_path: str | None = attribute(
        "Where the file is to be sent by PUT, with a credential; null where none is waited for."
    )
    read_columns: list[ImportColumn] | None = attribute(
        "As what its columns were read; null until that is known.", name="columns"
    )
    bytes_read: float = attribute("Of the file, unpacked.")
    rows_read: float = attribute("How many rows were read.")
    recorded: float = attribute("How many readings are committed.")
    failed: float = attribute("How many rows, or cells of a wide file, could not be recorded.")
    first_errors: list[ImportRowError] = attribute("Of the first hundred of those.", name="errors")
    error: str | None = attribute("Why it has ended before its file did.")
    created_at: datetime = attribute("When it was begun.")
    started_at: datetime | None = attribute("When its file began to come.")
    updated_at: datetime = attribute("When these figures were taken.")
    finished_at: datetime | None = attribute("When it ended.")


@strawberry.type
class ImportQuery:
    imports: Connection[Import] | None = answer(door.listed, "Files of readings that came in, the newest first.")
    import_: Import | None = answer(door.by_id, "One import.", name="import")


@strawberry.type
class ImportMutation:
    import_readings: Import | None = answer(
        door.begin,
        "Begin to import a file of readings (CSV). Answers when a small one, given as `content`, is imported; for any "
        "other one, where to send it (`uploadPath`). What can be recorded is, whatever else is in the file.",
        cost=limits.of_import,
    )
    cancel_import: Import | None = answer(door.cancel, "Record no more of it. CONFLICT where it has ended.")


@strawberry.type
class ImportSubscription:
    import_updates: AsyncGenerator[Import, None] = stream(
        door.updates,
        "How far an import has come, or all that have not ended; then what becomes of them. May be conflated.",
        conflate=lambda item: str(item.id),
    )
