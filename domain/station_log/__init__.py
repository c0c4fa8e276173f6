"""What was said on the lines of stations: for the eyes of those who help, never in the way of a charge."""

from domain.station_log.buffer import Draft as Draft
from domain.station_log.buffer import Scribe as Scribe
from domain.station_log.keeping import forget as forget
from domain.station_log.keeping import forget_old as forget_old
from domain.station_log.masking import MASK as MASK
from domain.station_log.masking import Secrets as Secrets
from domain.station_log.masking import holds_secrets as holds_secrets
from domain.station_log.models import Direction as Direction
from domain.station_log.models import Entry as Entry
from domain.station_log.models import EntryKind as EntryKind
from domain.station_log.models import StationLogEntry as StationLogEntry
from domain.station_log.models import entry_id as entry_id
from domain.station_log.models import event_id as event_id
from domain.station_log.models import first_id as first_id
from domain.station_log.models import moment as moment
from domain.station_log.models import new_id as new_id
from domain.station_log.news import read as read
from domain.station_log.news import topics as topics
from domain.station_log.queries import following as following
from domain.station_log.queries import latest as latest
from domain.station_log.queries import listed as listed
from domain.station_log.recording import Recorder as Recorder
from domain.station_log.rules import StationLogRules as StationLogRules
from domain.station_log.strangers import Stranger as Stranger
