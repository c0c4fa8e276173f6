"""What migrations say: a table of tenants in one call, and what the application's role may do with it."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

UUID = postgresql.UUID(as_uuid=True)
TIMESTAMP = sa.DateTime(timezone=True)
JSONB = postgresql.JSONB(none_as_null=True)
TENANT = "(select current_setting('app.tenant_id')::uuid)"  # an InitPlan: asked once a query, not once a row


def app_role() -> str:
    """The role that the application connects as; it owns nothing."""
    return str(context.config.attributes["app_role"])


def tenant_table(name: str, *columns: sa.schema.SchemaItem, created_at: bool = True) -> None:
    """A table of which every tenant sees its own rows alone.

    Adds id, tenant_id (filled from the transaction's setting) and created_at, forced row-level security with one
    policy for reading and writing, the key that foreign keys point at, and the grants.
    """
    op.create_table(
        name,
        sa.Column("id", UUID, primary_key=True),
        sa.Column("tenant_id", UUID, nullable=False, server_default=sa.text("current_setting('app.tenant_id')::uuid")),
        *([sa.Column("created_at", TIMESTAMP, nullable=False)] if created_at else []),
        *columns,
        sa.UniqueConstraint("tenant_id", "id", name=f"{name}_tenant_key"),
    )
    isolate(name, "tenant_id")


def isolate(name: str, column: str) -> None:
    """Forced row-level security by a column that holds the tenant's id, and the grants."""
    op.execute(f"alter table {name} enable row level security")
    op.execute(f"alter table {name} force row level security")
    op.execute(f"create policy tenant on {name} using ({column} = {TENANT}) with check ({column} = {TENANT})")
    grant(name)


def grant(name: str, rights: str = "select, insert, update, delete") -> None:
    op.execute(f'grant {rights} on {name} to "{app_role()}"')


def reference(column: str, table: str, *, nullable: bool = False, on_delete: str | None = None) -> list[Any]:
    """A column that points at a row of the same tenant: foreign keys look past row-level security, so they carry it."""
    rule = f"set null ({column})" if on_delete == "set null" else on_delete
    return [
        sa.Column(column, UUID, nullable=nullable),
        sa.ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete=rule),
    ]


def index(table: str, *columns: str, unique: bool = False, where: str | None = None) -> None:
    """An index within a tenant: row-level security asks for the tenant first."""
    name = f"{table}_{'_'.join(c.split()[0] for c in columns)}_{'key' if unique else 'idx'}"
    kind = "unique index" if unique else "index"
    condition = f" where {where}" if where else ""
    op.execute(f"create {kind} {name} on {table} (tenant_id, {', '.join(columns)}){condition}")


def security_definer(signature: str, returns: str, body: str, *, language: str = "sql", kind: str = "stable") -> None:
    """A function that runs as the owner, with a fixed search path, and that the application alone may call."""
    op.execute(
        f"create function {signature} returns {returns} language {language} {kind} security definer "
        f"set search_path = public, pg_temp as $body$ {body} $body$"
    )
    name = signature.partition("(")[0]
    op.execute(f"revoke all on function {name} from public")
    op.execute(f'grant execute on function {name} to "{app_role()}"')


def for_each_tenant(statement: str) -> None:
    """Rows are changed one tenant after the other: row-level security binds the owner too."""
    script(
        f"""
        do $body$ declare one uuid; begin
            for one in select tenant_ids() loop
                perform set_config('app.tenant_id', one::text, true);
                {statement};
            end loop;
        end $body$
        """
    )


def script(sql: str) -> None:
    """Several statements at once, which prepared statements cannot hold: on asyncpg itself, in the same transaction."""
    connection: Any = op.get_bind().connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(sql))
