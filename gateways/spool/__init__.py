"""Readings on disk, while what should keep them is away."""

from gateways.spool.disk import DiskSpool as DiskSpool
