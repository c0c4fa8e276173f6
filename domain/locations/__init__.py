"""Charging sites."""

from domain.locations.models import Location as Location
from domain.locations.queries import by_id as by_id
from domain.locations.queries import by_ids as by_ids
from domain.locations.queries import listed as listed
from domain.locations.service import create as create
from domain.locations.service import delete as delete
from domain.locations.service import update as update
