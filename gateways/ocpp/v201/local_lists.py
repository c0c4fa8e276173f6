"""OCPP 2.0.1, D: the list that a station keeps of tokens."""

from datetime import datetime
from typing import Any

from ocpp.v201 import call
from ocpp.v201.datatypes import AuthorizationData, IdTokenInfoType
from ocpp.v201.enums import UpdateEnumType

from domain.commands import CommandKind, CommandStatus, Outcome
from domain.sessions import AuthorizationStatus
from gateways.ocpp.orders import Answers, Orders
from gateways.ocpp.v201.authorization import STATUS, group_id_token, id_token

_UPDATE = {"FULL": UpdateEnumType.full, "DIFFERENTIAL": UpdateEnumType.differential}


def _send(wanted: dict[str, Any]) -> call.SendLocalList:
    entries = [
        AuthorizationData(id_token=id_token(entry["uid"], entry["type"]), id_token_info=_info(entry))
        for entry in wanted["entries"]
    ]
    return call.SendLocalList(
        version_number=wanted["version"],
        update_type=_UPDATE[wanted["update"]],
        local_authorization_list=entries or None,
    )


def _info(entry: dict[str, Any]) -> IdTokenInfoType | None:
    """None takes a token out."""
    if entry["status"] is None:
        return None
    expires_at = entry["expires_at"]
    return IdTokenInfoType(
        status=STATUS[AuthorizationStatus(entry["status"])],
        cache_expiry_date_time=datetime.fromisoformat(expires_at) if expires_at else None,
        group_id_token=group_id_token(entry["group_uid"]),
    )


def _ask_version(_wanted: dict[str, Any]) -> call.GetLocalListVersion:
    return call.GetLocalListVersion()


def _version(answer: Any) -> Outcome:
    """0 is no list yet."""
    return Outcome(status=CommandStatus.ACCEPTED, result={"version": answer.version_number}, error=None)


ORDERS: Orders = {
    CommandKind.SEND_LOCAL_LIST: _send,
    CommandKind.GET_LOCAL_LIST_VERSION: _ask_version,
}
ANSWERS: Answers = {CommandKind.GET_LOCAL_LIST_VERSION: _version}
