"""OCPP 1.6, 4.1: may this card charge? It has fewer words for it than we have."""

from ocpp.v16 import call as request
from ocpp.v16 import call_result as result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import AuthorizationStatus as Word

from domain import sessions
from domain.sessions import Authorization, AuthorizationStatus
from gateways.ocpp.link import Call, Handler

STATUS = {
    AuthorizationStatus.ACCEPTED: Word.accepted,
    AuthorizationStatus.BLOCKED: Word.blocked,
    AuthorizationStatus.EXPIRED: Word.expired,
    AuthorizationStatus.INVALID: Word.invalid,
    AuthorizationStatus.CONCURRENT: Word.concurrent_tx,
    AuthorizationStatus.UNKNOWN: Word.invalid,
    AuthorizationStatus.NOT_AT_THIS_LOCATION: Word.invalid,
    AuthorizationStatus.NOT_AT_THIS_TIME: Word.invalid,
    AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE: Word.invalid,
    AuthorizationStatus.NO_CREDIT: Word.blocked,
    AuthorizationStatus.MASTER: Word.invalid,  # 1.6 knows none: a station would let it begin a charge
}
ID_TAG_MAX = 20


async def authorize(call: Call, m: request.Authorize) -> result.Authorize:
    async with call.read() as work:
        authorization = await sessions.authorize(work, token_uid=m.id_tag, station_id=call.station_id)
    authorization = await sessions.ask_elsewhere(
        call.workplace, call.actor, authorization, token_uid=m.id_tag, station_id=call.station_id
    )
    return result.Authorize(id_tag_info=id_tag_info(authorization))


def id_tag_info(authorization: Authorization) -> IdTagInfo:
    return IdTagInfo(
        status=STATUS[authorization.status],
        parent_id_tag=fitting(authorization.group_uid),
        expiry_date=authorization.expires_at,
    )


def fitting(group_uid: str | None) -> str | None:
    """A group that 1.6 cannot name is none there."""
    return group_uid if group_uid and len(group_uid) <= ID_TAG_MAX else None


HANDLERS: dict[str, Handler] = {"Authorize": authorize}
