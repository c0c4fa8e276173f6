"""OCPP 1.6, 4.1: may this card charge?"""

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
}
_ID_TAG_MAX = 20


async def authorize(call: Call, m: request.Authorize) -> result.Authorize:
    async with call.read() as work:
        authorization = await sessions.authorize(work, token_uid=m.id_tag, station_id=call.station_id)
    return result.Authorize(id_tag_info=id_tag_info(authorization))


def id_tag_info(authorization: Authorization) -> IdTagInfo:
    group_uid = authorization.group_uid
    return IdTagInfo(
        status=STATUS[authorization.status],
        parent_id_tag=group_uid if group_uid and len(group_uid) <= _ID_TAG_MAX else None,
        expiry_date=authorization.expires_at,
    )


HANDLERS: dict[str, Handler] = {"Authorize": authorize}
