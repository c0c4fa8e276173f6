"""How much waits in quarantine; points of intervals, and the power of charges that go on, as this release has them."""

from alembic import op

from migrations import ops

revision = "0019"
down_revision = "0018"

_INTERVAL = "^station/[^/]+/[^/]+/Energy[.][^/@]+[.]Interval([@/]|$)"


def upgrade() -> None:
    op.execute("create policy lookup on quarantined_reading for select to current_user using (true)")
    ops.security_definer("quarantined_readings()", "bigint", "select count(*) from quarantined_reading")
    ops.for_each_tenant(
        "update point set aggregation = 'SUM' "
        f"where aggregation is null and expression is null and address ~ '{_INTERVAL}'"
    )
    ops.for_each_tenant("update session set power_last_w = power_w where power_last_w is null and power_w is not null")
