"""Every reading, in PostgreSQL: in monthly partitions, with roll-ups that are kept up to date."""

from gateways.timescale.roller import Rolled as Rolled
from gateways.timescale.store import TimescaleStore as TimescaleStore
