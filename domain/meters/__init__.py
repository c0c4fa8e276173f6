"""Meters: what measures, where it stands, and how often it reads."""

from domain.meters.adoption import MetersAdopt as MetersAdopt
from domain.meters.models import Meter as Meter
from domain.meters.models import MeterKind as MeterKind
from domain.meters.queries import by_id as by_id
from domain.meters.queries import by_ids as by_ids
from domain.meters.queries import listed as listed
from domain.meters.queries import series_of as series_of
from domain.meters.service import add_series as add_series
from domain.meters.service import create as create
from domain.meters.service import delete as delete
from domain.meters.service import update as update
