"""OCPP 2.0.1, B09: the address at which a station is to reach us, and over what."""

from typing import Any

from ocpp.v201 import call as request
from ocpp.v201.datatypes import APNType, NetworkConnectionProfileType, VPNType
from ocpp.v201.enums import OCPPTransportEnumType, OCPPVersionEnumType

from domain.commands import CommandKind
from gateways.ocpp.orders import Orders


def _set_network_profile(wanted: dict[str, Any]) -> request.SetNetworkProfile:
    apn, vpn = wanted.get("apn"), wanted.get("vpn")
    return request.SetNetworkProfile(
        configuration_slot=wanted["slot"],
        connection_data=NetworkConnectionProfileType(
            ocpp_version=OCPPVersionEnumType.ocpp20,
            ocpp_transport=OCPPTransportEnumType.json,
            ocpp_csms_url=wanted["url"],
            message_timeout=wanted["message_timeout_s"],
            security_profile=wanted["security_profile"],
            ocpp_interface=wanted["interface"],
            apn=None if apn is None else _apn(apn),
            vpn=None if vpn is None else _vpn(vpn),
        ),
    )


def _apn(given: dict[str, Any]) -> APNType:
    return APNType(
        apn=given["name"],
        apn_authentication=given["authentication"],
        apn_user_name=given.get("user"),
        apn_password=given.get("password"),
        sim_pin=given.get("sim_pin"),
        preferred_network=given.get("preferred_network"),
        use_only_preferred_network=given.get("use_only_preferred_network"),
    )


def _vpn(given: dict[str, Any]) -> VPNType:
    return VPNType(
        server=given["server"],
        user=given["user"],
        password=given["password"],
        key=given["pre_shared_key"],
        type=given["type"],
        group=given.get("group"),
    )


ORDERS: Orders = {CommandKind.SET_NETWORK_PROFILE: _set_network_profile}
