"""Structured logs: one line an event, with tenant and station where there is one."""

import logging
import sys
from typing import Literal

import structlog


def configure(*, log_format: Literal["console", "json"], level: str, traced: bool = False) -> None:
    """Ours and the libraries' through one pipe to standard error; `traced`: with the span that a line belongs to."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if traced:
        from voltgraph.tracing import span_processor

        shared.append(span_processor())
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # rich's shows locals, and with them secrets
        )
    )
    tail: list[structlog.typing.Processor] = (
        [structlog.processors.dict_tracebacks, last] if log_format == "json" else [last]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("pgqueuer", "alembic", "uvicorn", "websockets"):
        logging.getLogger(chatty).setLevel(max(logging.getLevelName(level.upper()), logging.WARNING))
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)  # it warns of each try before it gives up
