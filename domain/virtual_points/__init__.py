"""Virtual points: made of others by an expression, never recorded; one definition, live and over history."""

from domain.virtual_points.composition import Composed as Composed
from domain.virtual_points.composition import Composite as Composite
from domain.virtual_points.composition import composed as composed
from domain.virtual_points.news import changed_topic as changed_topic
from domain.virtual_points.service import create as create
from domain.virtual_points.service import delete as delete
from domain.virtual_points.service import update as update
from domain.virtual_points.tally import Tally as Tally
