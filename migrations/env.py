"""Alembic's entry: runs on the connection that `voltgraph migrate` made, as the owner."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
