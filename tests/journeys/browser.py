"""A real browser without a window, over the protocol of its developer tools."""

import asyncio
import itertools
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

GUARD_S = 30.0
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (told) =>
  window.violations.push(`${told.violatedDirective}: ${told.blockedURI} ${told.sample}`));
"""


class Page:
    """A tab: what it asked for, what it complained of, and what stands in it."""

    def __init__(self, tools: ClientConnection) -> None:
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self._tools = tools
        self._tab: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def open(self) -> None:
        target = (await self._call("Target.createTarget", url="about:blank"))["targetId"]
        tab = await self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._tab = {"sessionId": tab["sessionId"]}
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self._call(f"{domain}.enable")
        await self._call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)

    async def go(self, url: str) -> None:
        await self._call("Page.navigate", url=url)

    async def look(self, expression: str) -> Any:
        """What an expression of JavaScript gives; None while it fails, since a page is not there at once."""
        seen = await self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        return None if "exceptionDetails" in seen else seen["result"].get("value")

    async def until(self, expression: str) -> Any:
        """What it gives as soon as that is anything."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GUARD_S):
                while not (seen := await self.look(expression)):  # noqa: ASYNC110  # a page does not tell
                    await asyncio.sleep(0.05)
                return seen
        raise AssertionError(f"waited in vain for {expression}; complaints: {self.complaints}")

    async def press(self, selector: str, text: str = "") -> None:
        """The first such element, with this text where there is one."""
        elements = f"[...document.querySelectorAll({orjson.dumps(selector).decode()})]"
        wanted = f"{elements}.find((element) => element.textContent.includes({orjson.dumps(text).decode()}))"
        await self.until(f"!!{wanted}")
        await self.look(f"{wanted}.click()")

    async def listen(self) -> None:
        async for frame in self._tools:
            told = orjson.loads(frame)
            if waiting := self._answers.pop(told.get("id"), None):
                waiting.set_result(told)
            else:
                self._note(told["method"], told["params"])

    def _note(self, method: str, told: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requested.append(told["request"]["url"])
            case "Network.webSocketCreated":
                self.requested.append(told["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.complaints.append(str(told["entry"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning"):
                self.complaints.append(str(told["args"]))

    async def _call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._tools.send(orjson.dumps({"id": number, "method": method, "params": params, **self._tab}).decode())
        async with asyncio.timeout(GUARD_S):
            told = await self._answers[number]
        assert "error" not in told, f"{method}: {told['error']}"
        return told["result"]


@asynccontextmanager
async def a_page(folder: Path) -> AsyncIterator[Page]:
    """In a browser of its own, which knows nothing yet."""
    async with _browser(folder) as address, connect(address, max_size=None, proxy=None) as tools:
        page = Page(tools)
        listening = asyncio.create_task(page.listen())
        try:
            await page.open()
            yield page
        finally:
            listening.cancel()
            await asyncio.wait([listening])


@asynccontextmanager
async def _browser(folder: Path) -> AsyncIterator[str]:
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",  # it loads our pages alone, and root has no other way
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(GUARD_S):
            while not (told := _LISTENING.search(line := await process.stderr.readline())):
                assert line, "the browser ended"
        drained = asyncio.create_task(process.stderr.read())
        yield told[1].decode()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    await drained
