"""GraphiQL in a browser: the link with the credential is all it needs."""

from pathlib import Path

import pytest

from gateways.graphql.ide import ASSETS
from tests.journeys.browser import CHROMIUM, Page, a_page
from tests.journeys.chargers import Charger16
from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
    pytest.mark.skipif(not ASSETS.exists(), reason="GraphiQL's scripts are not here: `make web` fetches them"),
]

ANSWER = "document.querySelector('.graphiql-response .CodeMirror').CodeMirror.getValue()"


async def run(page: Page, example: str) -> None:
    """In its tab, once the editor has read it: until then it would run the one before."""
    await page.press(".graphiql-tab-button", example)
    await page.until(f"localStorage.getItem('graphiql:operationName') === '{example}'")
    await page.press(".graphiql-execute-button")


async def test_a_browser_asks_reads_the_schema_and_watches_and_meets_nobody_but_us(
    tmp_path: Path, server: Server, tenant: Tenant, operator: Operator, base: str, identity: str
) -> None:
    async with a_page(tmp_path / "browser") as page, Charger16.connected(base, identity) as charger:
        await charger.boot()
        uid = await operator.token()
        await page.go(f"{server.graphql}#{tenant.secret}")

        await run(page, "Fleet")
        await page.until(f"{ANSWER}.includes('{identity}')")

        await page.press("[aria-label='Show Documentation Explorer']")
        await page.press(".graphiql-doc-explorer-content a", "Subscription")
        await page.press(".graphiql-doc-explorer-content a", "sessionUpdates")

        await run(page, "Sessions")
        await page.until("!!document.querySelector('.graphiql-spinner, .graphiql-execute-button[aria-label^=Stop]')")
        await charger.plug_in()
        await charger.start(uid, 1_000)
        await page.until(f"{ANSWER}.includes('{uid}')")
        await charger.meter(1_250, 11_000)
        await page.until(f"{ANSWER}.includes('\"energyWh\": 250')")
        await page.press(".graphiql-execute-button")

        await page.press("[aria-label='Open settings dialog']")
        await page.until("!!document.querySelector('.graphiql-dialog')")

        assert await page.look("window.violations") == []
        assert page.complaints == []
        assert all(url.startswith((server.url, server.url.replace("http", "ws"), "data:")) for url in page.requested)
        assert await page.look("JSON.stringify(localStorage).includes(location.hash.slice(1))") is False
