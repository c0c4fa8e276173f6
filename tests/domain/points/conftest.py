from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.domain.points.line import Line
from voltgraph.settings import Settings


@pytest.fixture
async def redis_line(settings: Settings, anyio_backend: str) -> AsyncIterator[tuple[Line, str]]:
    """The way to Redis, and the URL that takes it."""
    assert settings.redis_url
    with TemporaryDirectory(prefix="vg") as folder:
        socket = Path(folder) / "r.sock"
        line = Line(settings.redis_url, socket)
        await line.mend()
        yield line, f"unix://{socket}"
        await line.cut()
