"""`voltgraph readings`: files in and out from the command line, as a client of a running server."""

import asyncio
import gzip
import os
import pty
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.journeys.clients import Tenant
from tests.journeys.servers import GUARD_S, Server, command
from voltgraph.cli import app

DAY = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z")


@pytest.fixture
def client(server: Server, tenant: Tenant, environment: dict[str, str]) -> dict[str, str]:
    """What the commands are told; they know nothing of the server's but its address."""
    return {"VOLTGRAPH_PORT": str(server.port), "VOLTGRAPH_CREDENTIAL": tenant.secret, "VOLTGRAPH_LOG_FORMAT": "json"}


def readings(client: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, ["readings", *arguments], env=client)


def test_a_file_goes_in_by_its_layout_and_comes_out(client: dict[str, str], identity: str, tmp_path: Path) -> None:
    file, out = tmp_path / "day.csv.gz", tmp_path / "out.csv"
    file.write_bytes(gzip.compress(b"Zeit;Netz;PV\n01.01.2026 01:00;1,5;2\n01.01.2026 01:15;0,5;\n"))
    columns = ("--column", f"Netz={identity}/grid [kW]", "--column", f"PV={identity}/pv")

    done = readings(client, "import", str(file), "--timezone", "Europe/Berlin", *columns)
    printed = readings(client, "export", f"{identity}/grid", *DAY)
    kept = readings(client, "export", f"{identity}/grid", *DAY, "--resolution", "PT1H", "-o", str(out))

    assert (done.exit_code, done.stdout) == (0, "2 rows read, 3 readings recorded, 0 refused\n"), done.stderr
    assert printed.stdout.splitlines() == [
        "address,timestamp,value,text,quality,unit,source,version",
        f"{identity}/grid,2026-01-01T00:00:00Z,1500.0,,GOOD,W,IMPORTED,1",
        f"{identity}/grid,2026-01-01T00:15:00Z,500.0,,GOOD,W,IMPORTED,1",
    ]
    assert (kept.exit_code, kept.stdout) == (0, "")
    assert out.read_text().splitlines()[1] == "2026-01-01T00:00:00Z,1000.0"
    assert list(tmp_path.glob("*.part")) == []


def test_rows_that_are_refused_are_told_by_their_lines(client: dict[str, str], identity: str, tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text(f"at,address,value\n2026-01-01T00:00:00Z,{identity},1\nnow,{identity},1\n" + "x\n" * 120)

    done = readings(client, "import", str(file))

    assert (done.exit_code, done.stdout) == (1, "122 rows read, 1 readings recorded, 121 refused\n")
    told = done.stderr.splitlines()
    assert told[0] == f"{file}:3: 'now' is no time"
    assert (len(told), told[-1]) == (101, f"{file}: and 21 more")


def test_what_cannot_be_is_told_in_a_line(client: dict[str, str], tmp_path: Path) -> None:
    none, out = tmp_path / "none.csv", tmp_path / "out.csv"
    none.write_text("this\nis none\n")
    nobody = {**client, "VOLTGRAPH_CREDENTIAL": "nonsense"}
    nowhere = {**client, "VOLTGRAPH_PORT": "1"}

    answers = [
        readings(client, "import", str(none)),
        readings(client, "import", str(tmp_path / "missing.csv")),
        readings(client, "import", str(none), "--timezone", "Mars/Phobos"),
        readings(client, "import", str(none), "--column", "Netz"),
        readings(nobody, "import", str(none)),
        readings(nowhere, "import", str(none)),
        readings(client, "export", "no/such/point", *DAY, "-o", str(out)),
        readings(client, "export", "no/such/point", "--from", "today", "--to", "tomorrow"),
    ]

    assert [answer.exit_code for answer in answers] == [1] * len(answers)
    for answer in answers:
        assert "voltgraph readings: " in answer.stderr
        assert "Traceback" not in answer.stderr
    assert list(tmp_path.iterdir()) == [none]


@pytest.mark.anyio
async def test_a_terminal_shows_how_far_an_import_has_come(
    client: dict[str, str], identity: str, tmp_path: Path
) -> None:
    file = tmp_path / "day.csv"
    rows = (f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z,1\n" for second in range(40_000))
    file.write_text("at,value\n" + "".join(rows))
    ours, theirs = pty.openpty()
    try:
        arguments = ("readings", "import", str(file), "--point", identity)
        process = command(*arguments, environment=client, stdin=theirs, stdout=theirs, stderr=theirs)
        seen = b""
        async with asyncio.timeout(GUARD_S):
            while b"40,000 readings recorded" not in seen:
                seen += await asyncio.to_thread(os.read, ours, 65_536)
            assert await asyncio.to_thread(process.wait) == 0
    finally:
        os.close(theirs)
        os.close(ours)

    assert b" rows, 0 refused" in seen
