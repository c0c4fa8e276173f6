"""OCPP 2.1 in a station's words: for what a station like ours has to say, those of 2.0.1."""

from dataclasses import dataclass

from gateways.sim.v201 import V201


@dataclass
class V21(V201):
    subprotocol: str = "ocpp2.1"
