"""OCPP-J: charging stations on websockets. Everything here translates; `v16/`, `v201/`, `v21/` say what to."""

from domain.commands import Priority as Priority
from gateways.ocpp.endpoint import Basic as Basic
from gateways.ocpp.endpoint import Endpoint as Endpoint
from gateways.ocpp.endpoint import Gate as Gate
from gateways.ocpp.endpoint import Lifecycle as Lifecycle
from gateways.ocpp.frames import Code as Code
from gateways.ocpp.frames import Fault as Fault
from gateways.ocpp.frames import Version as Version
from gateways.ocpp.gate import HouseGate as HouseGate
from gateways.ocpp.link import Admission as Admission
from gateways.ocpp.link import Call as Call
from gateways.ocpp.link import Handler as Handler
from gateways.ocpp.link import Limits as Limits
from gateways.ocpp.link import Line as Line
from gateways.ocpp.link import Refused as Refused
from gateways.ocpp.link import VersionPackage as VersionPackage
from gateways.ocpp.memory import AnswerMemory as AnswerMemory
from gateways.ocpp.memory import ProcessMemory as ProcessMemory
from gateways.ocpp.memory import Remembered as Remembered
from gateways.ocpp.orders import Carrier as Carrier
from gateways.ocpp.orders import OcppVersion as OcppVersion
from gateways.ocpp.pings import Pings as Pings
from gateways.ocpp.presence import Attendance as Attendance
from gateways.ocpp.registry import Sockets as Sockets
from gateways.ocpp.socket import StationSocket as StationSocket
from gateways.ocpp.times import stamp as stamp
