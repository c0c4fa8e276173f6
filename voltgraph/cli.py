"""`voltgraph`: the front door's commands."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from domain.actor import Role
from domain.errors import DomainError
from domain.work import Workplace
from voltgraph import logging
from voltgraph.embedded import AlreadyRunning, EmbeddedError, attached
from voltgraph.migrate import NotMigrated, migrate_now
from voltgraph.processes import stopped_by_signals
from voltgraph.servers import NoRedis, borrowed, owned
from voltgraph.settings import Settings, SettingsError, load

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
tenant = typer.Typer(no_args_is_help=True, help="Customer organizations.")
credential = typer.Typer(no_args_is_help=True, help="API secrets.")
documents = typer.Typer(no_args_is_help=True, help="GraphQL documents of clients; needs no database.")
readings = typer.Typer(no_args_is_help=True, help="Files of readings into a running server, and out of it.")
simulate = typer.Typer(no_args_is_help=True, help="Simulated equipment, as separate processes.")
app.add_typer(tenant, name="tenant")
app.add_typer(credential, name="credential")
app.add_typer(documents, name="documents")
app.add_typer(readings, name="readings")
app.add_typer(simulate, name="simulate")

Host = Annotated[str | None, typer.Option(help="Address to serve on.")]
Port = Annotated[int | None, typer.Option(help="Port to serve on; 0 takes a free one.")]
Folder = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Of .graphql files, at any depth.")]
Url = Annotated[str | None, typer.Option(help="GraphQL's address.")]
Secret = Annotated[
    str | None, typer.Option("--credential", envvar="VOLTGRAPH_CREDENTIAL", help="The demo's without one.")
]
_FAULTS = "all, or any of duplicate-stop, offline-burst, reboot, slow-answers, wrong-units, clock-skew, half-open"

Workers = Annotated[int, typer.Option(min=1, help="Processes that share the port.")]


def main() -> None:
    """One line for what the caller can mend; a traceback for what only we can."""
    try:
        app()
    except (SettingsError, AlreadyRunning, EmbeddedError, NotMigrated, NoRedis) as error:
        print(f"voltgraph: {error}", file=sys.stderr)
        sys.exit(2)
    except DomainError as error:
        print(f"voltgraph: {error.message}", file=sys.stderr)
        sys.exit(1)


@app.command()
def serve(host: Host = None, port: Port = None, workers: Workers = 1) -> None:
    """Serve GraphQL, OCPP, health and metrics on one port."""
    from voltgraph.server import run_worker, run_workers, with_free_port

    with owned(load(host=host, port=port)) as settings:
        complete = with_free_port(settings)

        def ready() -> None:
            print(f"Voltgraph serves on http://{complete.host}:{complete.port}", flush=True)

        if workers == 1:
            run_worker(complete, when_ready=ready)
        else:
            run_workers(complete, workers, when_ready=ready)


@app.command(hidden=True)
def worker() -> None:
    """One of several workers of `serve`, told everything by its environment."""
    from voltgraph.server import run_worker

    run_worker(load())


@app.command()
def demo(
    host: Host = None,
    port: Port = None,
    workers: Workers = 1,
    stations: Annotated[int, typer.Option(min=0, help="Simulated charging stations.")] = 6,
) -> None:
    """Serve with the tenant `demo` and a simulated fleet: what `make run` does."""
    from voltgraph.demo import run_demo

    policy = None if "VOLTGRAPH_STATION_POLICY" in os.environ else "auto"
    run_demo(load(host=host, port=port, station_policy=policy), workers, stations)


@app.command()
def relay() -> None:
    """Run the outbox alone."""
    from voltgraph.server import run_relay

    with borrowed(load()) as complete:
        run_relay(complete)


@app.command()
def migrate() -> None:
    """Bring the database's structure to this release, as its owner."""
    settings = load()
    settings.require_owner_url()
    with attached(settings) as urls:
        migrate_now(urls.database_owner, urls.database)


@app.command(name="schema")
def print_schema() -> None:
    """Print the GraphQL schema (SDL)."""
    import schema

    print(schema.build().as_str())


@app.command()
def watch(
    query: Annotated[str | None, typer.Argument(help="A subscription; a live table of the fleet without one.")] = None,
    station: Annotated[
        str | None, typer.Option(help="What this station and the server say to each other, as they do.")
    ] = None,
    url: Url = None,
    secret: Secret = None,
) -> None:
    """Stream a subscription in the terminal."""
    from voltgraph.watch import run_watch

    sys.exit(run_watch(load(), query=query, station=station, url=url, secret=secret))


@tenant.command(name="create")
def tenant_create(slug: str, name: str | None = None, timezone: str = "UTC") -> None:
    """Create a tenant; prints its id."""
    from voltgraph.seed import create_tenant

    print(_with_workplace(lambda workplace: create_tenant(workplace, slug=slug, name=name, timezone=timezone)))


@credential.command(name="create")
def credential_create(
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")],
    role: Annotated[Role, typer.Option(help="ADMIN, OPERATOR or VIEWER.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
) -> None:
    """Create a credential; prints its secret, alone, this once."""
    from voltgraph.seed import create_credential

    print(_with_workplace(lambda workplace: create_credential(workplace, slug=tenant, role=role, name=name)))


@documents.command(name="check")
def documents_check(folder: Folder) -> None:
    """Check documents against the schema and the limits; tells what each operation costs."""
    from voltgraph.documents import check_folder

    sys.exit(check_folder(folder, load()))


@documents.command(name="manifest")
def documents_manifest(
    folder: Folder,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file; standard output without it.")] = None,
) -> None:
    """Write the manifest that `VOLTGRAPH_DOCUMENTS` reads: each operation with the fragments that it needs."""
    from voltgraph.documents import write_manifest

    sys.exit(write_manifest(folder, load(), output))


@readings.command(name="import")
def readings_import(
    file: Annotated[Path, typer.Argument(help="CSV, as it is or packed with gzip; - is standard input.")],
    name: Annotated[str | None, typer.Option(help="What it is called; the file's own name without one.")] = None,
    at: Annotated[str | None, typer.Option(help="The column of times, by its header or its number.")] = None,
    address: Annotated[str | None, typer.Option(help="That of addresses.")] = None,
    value: Annotated[str | None, typer.Option(help="That of values.")] = None,
    text: Annotated[str | None, typer.Option(help="That of texts.")] = None,
    quality: Annotated[str | None, typer.Option(help="That of qualities.")] = None,
    unit: Annotated[str | None, typer.Option(help="That of units.")] = None,
    version: Annotated[str | None, typer.Option(help="That of versions.")] = None,
    point: Annotated[str | None, typer.Option(help="The address of all readings.")] = None,
    prefix: Annotated[str | None, typer.Option(help="What every address begins with.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Of a wide file, as often as wanted: COLUMN=ADDRESS or COLUMN=ADDRESS [UNIT]."),
    ] = None,
    wide: Annotated[
        bool | None, typer.Option("--wide/--long", help="A column per point, or a row per reading.")
    ] = None,
    default_unit: Annotated[str | None, typer.Option(help="Of values that do not tell theirs.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Of times that do not tell theirs.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="One of , ; | and tab.")] = None,
    header: Annotated[bool, typer.Option(help="Whether the first line names the columns.")] = True,
    decimal_comma: Annotated[bool | None, typer.Option("--decimal-comma/--decimal-point")] = None,
    day_first: Annotated[bool | None, typer.Option("--day-first/--month-first", help="Of 03/04/2026.")] = None,
    url: Url = None,
    secret: Secret = None,
) -> None:
    """Import a file; what is not said of it is found out. Ends with 1 where a row of it is not recorded."""
    from voltgraph.readings import run_import

    said = {
        "at": at,
        "address": address,
        "value": value,
        "text": text,
        "quality": quality,
        "unit": unit,
        "version": version,
        "point": point,
        "prefix": prefix,
        "wide": wide,
        "defaultUnit": default_unit,
        "timezone": timezone,
        "delimiter": delimiter,
        "header": header,
        "decimalComma": decimal_comma,
        "dayFirst": day_first,
    }
    sys.exit(run_import(load(), file=file, said=said, columns=column or (), name=name, url=url, secret=secret))


@readings.command(name="export")
def readings_export(
    points: Annotated[list[str], typer.Argument(help="Addresses.")],
    from_: Annotated[str, typer.Option("--from", help="The beginning, as 2026-03-01T00:00:00Z.")],
    to: Annotated[str, typer.Option(help="The end, which does not belong to it.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, packed where it ends in .gz; else standard output.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="csv or jsonl.")] = None,
    quality: Annotated[str | None, typer.Option(help="The worst that counts: GOOD, UNCERTAIN or BAD.")] = None,
    as_of: Annotated[str | None, typer.Option(help="What was known at that moment.")] = None,
    resolution: Annotated[
        str | None, typer.Option(help="A row per period, as PT15M; every reading without it.")
    ] = None,
    function: Annotated[str | None, typer.Option(help="Of a resolution: MEAN, MAX, …")] = None,
    timezone: Annotated[str | None, typer.Option(help="Of a resolution; the tenant's without it.")] = None,
    url: Url = None,
    secret: Secret = None,
) -> None:
    """Export readings of points, or what they come to by period."""
    from voltgraph.readings import run_export

    asked = {
        "from": from_,
        "to": to,
        "format": format,
        "quality": quality,
        "asOf": as_of,
        "resolution": resolution,
        "function": function,
        "timezone": timezone,
    }
    sys.exit(run_export(load(), points=points, asked=asked, output=output, url=url, secret=secret))


@simulate.command(name="stations")
def simulate_stations(
    url: Annotated[str, typer.Option(help="The base to which /<identity> is appended.")],
    count: Annotated[int, typer.Option(min=1)] = 5,
    version: Annotated[str | None, typer.Option(help="1.6, 2.0.1 or 2.1; the first two in turn without it.")] = None,
    token: Annotated[str, typer.Option(help="The token that charges.")] = "DEMO",  # noqa: S107 -- an RFID's uid
    password: Annotated[str | None, typer.Option(help="Shown as HTTP Basic.")] = None,
    speed: Annotated[float, typer.Option(min=0.1, help="How much faster than life they charge.")] = 1.0,
    meter_interval: Annotated[float, typer.Option(min=0.5, help="Seconds between meter values.")] = 5.0,
    prefix: Annotated[str, typer.Option(help="What their identities begin with.")] = "SIM-",
    busy: Annotated[float | None, typer.Option(min=0.01, max=1, help="Share of the time that they charge.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help=f"What goes wrong, as often as wanted: {_FAULTS}.")] = None,
    registers: Annotated[Path | None, typer.Option(help="A file in which meters go on from run to run.")] = None,
    finish: Annotated[bool, typer.Option(help="End running charges before stopping.")] = False,
) -> None:
    """Charging stations that plug in, authorize, charge, meter and stop."""
    from gateways.sim import DIALECTS, faults_named, run_stations

    if version is not None and version not in DIALECTS:
        raise typer.BadParameter(f"one of {', '.join(DIALECTS)}", param_hint="--version")
    try:
        faults = faults_named(fault or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None
    settings = load()
    logging.configure(log_format=settings.log_format, level=settings.log_level)
    report = asyncio.run(
        stopped_by_signals(
            lambda stop: run_stations(
                url=url,
                count=count,
                version=version,
                token_uid=token,
                password=password,
                speed=speed,
                meter_interval_s=meter_interval,
                prefix=prefix,
                busy_share=busy,
                faults=faults,
                registers=registers,
                stop=stop,
                finish=finish,
            )
        )
    )
    print(f"{report.sessions_delivered} charges delivered, {report.error_count} errors", file=sys.stderr)


def _with_workplace(use: Callable[[Workplace], Awaitable[T]]) -> T:
    """A moment's house, beside a running server or without one."""

    async def run(settings: Settings) -> T:
        from voltgraph.wiring import House

        async with House.built(settings) as house:
            return await use(house.workplace)

    settings = load()
    logging.configure(log_format=settings.log_format, level="warning")
    with borrowed(settings) as complete:
        return asyncio.run(run(complete))


if __name__ == "__main__":
    main()
