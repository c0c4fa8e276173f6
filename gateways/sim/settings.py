"""What a server may read and change on a station, under whatever name its version of OCPP has for it."""

from dataclasses import dataclass
from enum import Enum, auto

ENERGY, POWER, CURRENT, VOLTAGE, SOC = (
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Current.Import",
    "Voltage",
    "SoC",
)
MEASURANDS = (ENERGY, POWER, CURRENT, VOLTAGE, SOC)


@dataclass(slots=True)
class Settings:
    """In force at once, except `ping_s`, which the next connection takes up."""

    heartbeat_s: float = 300.0
    boot_interval_s: float = 10.0
    meter_interval_s: float = 5.0
    ping_s: float = 30.0
    connection_timeout_s: float = 60.0
    attempts: float = 3.0
    retry_s: float = 10.0
    authorizes_offline: bool = True
    stops_on_invalid_token: bool = True
    sampled: tuple[str, ...] = MEASURANDS
    sampled_at_end: tuple[str, ...] = (ENERGY,)


class Kind(Enum):
    TEXT = auto()
    INTEGER = auto()
    BOOLEAN = auto()
    MEASURANDS = auto()


@dataclass(frozen=True, slots=True)
class Setting:
    """One key: either an attribute of `Settings` or a `fixed` text."""

    kind: Kind = Kind.TEXT
    attribute: str = ""
    fixed: str = ""
    writable: bool = False


def read(settings: Settings, setting: Setting) -> str:
    if not setting.attribute:
        return setting.fixed
    value = getattr(settings, setting.attribute)
    match setting.kind:
        case Kind.MEASURANDS:
            return ",".join(value)
        case Kind.BOOLEAN:
            return "true" if value else "false"
        case Kind.INTEGER:
            return str(max(1, round(value)) if value else 0)
        case Kind.TEXT:
            return str(value)


def write(settings: Settings, setting: Setting, text: str) -> bool:
    """False where the text is no value for this setting."""
    match setting.kind:
        case Kind.INTEGER if text.isdecimal():
            value: object = float(text)
        case Kind.BOOLEAN if text.lower() in ("true", "false"):
            value = text.lower() == "true"
        case Kind.MEASURANDS if all(part in MEASURANDS for part in text.split(",") if part):
            value = tuple(part for part in text.split(",") if part)
        case _:
            return False
    setattr(settings, setting.attribute, value)
    return True
