"""Simulated equipment: independent clients of the outside's own protocols, sharing no code with our servers."""

from gateways.sim.report import Report, SessionReport, StationReport
from gateways.sim.stations import run_stations

__all__ = ["Report", "SessionReport", "StationReport", "run_stations"]
