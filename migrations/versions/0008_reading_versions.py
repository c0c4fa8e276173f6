"""Readings: how each came, which delivery of its moment it is, when we came to know it, and what it has replaced."""

from alembic import op

from migrations import ops

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        "alter table reading add column source smallint not null default 0, "
        "add column version integer not null default 1, add column recorded_at timestamptz not null default now()"
    )
    # what is asked for every day is in `reading` alone: the highest version of each moment
    op.execute(
        "create table reading_superseded (series bigint not null, at timestamptz not null, version integer not null, "
        "value double precision, text text, quality smallint not null, source smallint not null, "
        "recorded_at timestamptz not null, primary key (series, at, version))"
    )
    ops.grant("reading_superseded")
