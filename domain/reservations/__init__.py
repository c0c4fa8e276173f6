"""Reservations: an EVSE, or any of a station's, kept for a card until somebody comes or the time is over."""

from domain.reservations.events import ReservationChanged as ReservationChanged
from domain.reservations.models import LIVE as LIVE
from domain.reservations.models import Reservation as Reservation
from domain.reservations.models import ReservationStatus as ReservationStatus
from domain.reservations.ordering import carry_out as carry_out
from domain.reservations.ordering import object_to_request as object_to_request
from domain.reservations.ordering import request as request
from domain.reservations.ordering import request_cancel as request_cancel
from domain.reservations.queries import by_id as by_id
from domain.reservations.queries import by_ids as by_ids
from domain.reservations.queries import listed as listed
from domain.reservations.service import expire as expire
from domain.reservations.service import report_status as report_status
from domain.reservations.service import settle as settle
from domain.reservations.service import use as use
