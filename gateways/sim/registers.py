"""What meters show outlives the process: a meter that began anew with each start would count what never flowed."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from gateways.sim.outlet import Outlet

KEPT_EVERY_S = 1.0


class Registers:
    """The registers of a fleet in a file; None: they are forgotten with the process."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._shown: dict[str, float] = {}
        self._outlets: dict[str, Outlet] = {}
        if file is not None:
            with suppress(FileNotFoundError, orjson.JSONDecodeError):
                self._shown = orjson.loads(file.read_bytes())

    def adopt(self, identity: str, outlets: Sequence[Outlet]) -> None:
        """These show what they showed last."""
        for outlet in outlets:
            name = f"{identity}/{outlet.number}"
            outlet.register_wh = self._shown.get(name, outlet.register_wh)
            self._outlets[name] = outlet

    async def keep(self) -> None:
        """Until it is cancelled, and then once more."""
        try:
            while True:
                self._write()
                await asyncio.sleep(KEPT_EVERY_S)
        finally:
            self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        self._shown |= {name: outlet.register_wh for name, outlet in self._outlets.items()}
        new = self._file.with_suffix(".new")
        new.write_bytes(orjson.dumps(self._shown))
        new.replace(self._file)
