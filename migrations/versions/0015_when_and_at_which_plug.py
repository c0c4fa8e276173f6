"""When in the week, and at which plugs, a token may charge."""

import sqlalchemy as sa
from alembic import op

from migrations.ops import JSONB

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("token", sa.Column("hours", JSONB))
    op.add_column("token", sa.Column("connector_types", sa.ARRAY(sa.Text)))
