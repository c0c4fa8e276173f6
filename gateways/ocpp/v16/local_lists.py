"""OCPP 1.6, 5.10 and 5.15: the list that a station keeps of cards."""

from datetime import datetime
from typing import Any

from ocpp.v16 import call
from ocpp.v16.datatypes import AuthorizationData, IdTagInfo
from ocpp.v16.enums import UpdateType

from domain.commands import CommandKind, CommandStatus, Outcome
from domain.sessions import AuthorizationStatus
from gateways.ocpp.orders import Answers, Orders
from gateways.ocpp.v16.authorization import STATUS, fitting

_UPDATE = {"FULL": UpdateType.full, "DIFFERENTIAL": UpdateType.differential}


def _send(wanted: dict[str, Any]) -> call.SendLocalList:
    entries = [AuthorizationData(id_tag=entry["uid"], id_tag_info=_info(entry)) for entry in wanted["entries"]]
    return call.SendLocalList(
        list_version=wanted["version"], update_type=_UPDATE[wanted["update"]], local_authorization_list=entries
    )


def _info(entry: dict[str, Any]) -> IdTagInfo | None:
    """None takes a card out."""
    if entry["status"] is None:
        return None
    expires_at = entry["expires_at"]
    return IdTagInfo(
        status=STATUS[AuthorizationStatus(entry["status"])],
        parent_id_tag=fitting(entry["group_uid"]),
        expiry_date=datetime.fromisoformat(expires_at) if expires_at else None,
    )


def _ask_version(_wanted: dict[str, Any]) -> call.GetLocalListVersion:
    return call.GetLocalListVersion()


def _version(answer: Any) -> Outcome:
    """0 is no list yet, -1 a station that keeps none."""
    return Outcome(status=CommandStatus.ACCEPTED, result={"version": answer.list_version}, error=None)


ORDERS: Orders = {
    CommandKind.SEND_LOCAL_LIST: _send,
    CommandKind.GET_LOCAL_LIST_VERSION: _ask_version,
}
ANSWERS: Answers = {CommandKind.GET_LOCAL_LIST_VERSION: _version}
