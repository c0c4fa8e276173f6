"""What power a charge was last heard to have, apart from what it has: it may turn out to go on."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("session", sa.Column("power_last_w", sa.Double))
