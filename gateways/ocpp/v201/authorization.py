"""OCPP 2.0.1, C: may this card charge?"""

from dataclasses import replace

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
    AuthorizationStatus.UNKNOWN: Word.unknown,
    AuthorizationStatus.NOT_AT_THIS_LOCATION: Word.not_at_this_location,
    AuthorizationStatus.NOT_AT_THIS_TIME: Word.not_at_this_time,
    AuthorizationStatus.NOT_ALLOWED_TYPE_EVSE: Word.not_allowed_type_evse,
    AuthorizationStatus.NO_CREDIT: Word.no_credit,
    AuthorizationStatus.MASTER: Word.invalid,
}
TYPE = {
    "CENTRAL": IdTokenEnumType.central,
    "EMAID": IdTokenEnumType.e_maid,
    "ISO14443": IdTokenEnumType.iso14443,
    "ISO15693": IdTokenEnumType.iso15693,
    "KEY_CODE": IdTokenEnumType.key_code,
    "LOCAL": IdTokenEnumType.local,
    "MAC_ADDRESS": IdTokenEnumType.mac_address,
    "DIRECT_PAYMENT": "DirectPayment",  # this one and those below are words of 2.1, at which 2.0.1's schema stops us
    "EVCCID": "EVCCID",
    "VIN": "VIN",
}


async def authorize(call: Call, m: request.Authorize) -> result.Authorize:
    async with call.read() as work:
        authorization = await sessions.authorize(work, token_uid=m.id_token.id_token, station_id=call.station_id)
    authorization = await sessions.ask_elsewhere(
        call.workplace, call.actor, authorization, token_uid=m.id_token.id_token, station_id=call.station_id
    )
    if authorization.status is AuthorizationStatus.MASTER:  # C16: what its group may do, the station itself knows
        authorization = replace(authorization, status=AuthorizationStatus.ACCEPTED)
    return result.Authorize(id_token_info=id_token_info(authorization))


def id_token_info(authorization: Authorization) -> IdTokenInfoType:
    return IdTokenInfoType(
        status=STATUS[authorization.status],
        cache_expiry_date_time=authorization.expires_at,
        group_id_token=group_id_token(authorization.group_uid),
        evse_id=list(authorization.evse_numbers or ()) or None,
    )


def id_token(uid: str, type: str | None) -> IdTokenType:
    return IdTokenType(id_token=uid, type=TYPE[type or "CENTRAL"])


def group_id_token(group_uid: str | None) -> IdTokenType | None:
    return IdTokenType(id_token=group_uid, type=IdTokenEnumType.central) if group_uid else None


HANDLERS: dict[str, Handler] = {"Authorize": authorize}
