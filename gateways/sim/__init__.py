"""Simulated equipment: independent clients of the outside's own protocols, sharing no code with our servers."""

from gateways.sim.faults import Fault
from gateways.sim.faults import named as faults_named
from gateways.sim.report import Report, SessionReport, StationReport
from gateways.sim.stations import DIALECTS, run_stations

__all__ = ["DIALECTS", "Fault", "Report", "SessionReport", "StationReport", "faults_named", "run_stations"]
