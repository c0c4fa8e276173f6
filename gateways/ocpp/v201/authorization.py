"""OCPP 2.0.1, C: may this card charge?"""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.datatypes import IdTokenInfoType, IdTokenType
from ocpp.v201.enums import AuthorizationStatusEnumType as Word
from ocpp.v201.enums import IdTokenEnumType

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


async def authorize(call: Call, m: request.Authorize) -> result.Authorize:
    async with call.read() as work:
        authorization = await sessions.authorize(work, token_uid=m.id_token.id_token, station_id=call.station_id)
    return result.Authorize(id_token_info=id_token_info(authorization))


def id_token_info(authorization: Authorization) -> IdTokenInfoType:
    group_uid = authorization.group_uid
    return IdTokenInfoType(
        status=STATUS[authorization.status],
        cache_expiry_date_time=authorization.expires_at,
        group_id_token=IdTokenType(id_token=group_uid, type=IdTokenEnumType.central) if group_uid else None,
    )


HANDLERS: dict[str, Handler] = {"Authorize": authorize}
