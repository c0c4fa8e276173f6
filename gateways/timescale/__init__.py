"""Every reading, in PostgreSQL: plain monthly partitions today, TimescaleDB's where it will be present."""

from gateways.timescale.store import TimescaleStore as TimescaleStore
