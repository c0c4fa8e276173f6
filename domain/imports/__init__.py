"""Imports: files of readings on their way into the history."""

from domain.imports.events import ImportChanged as ImportChanged
from domain.imports.files import Column as Column
from domain.imports.files import Portion as Portion
from domain.imports.files import ReadingsFile as ReadingsFile
from domain.imports.files import ReadingsFiles as ReadingsFiles
from domain.imports.files import RowError as RowError
from domain.imports.layouts import DELIMITERS as DELIMITERS
from domain.imports.layouts import Layout as Layout
from domain.imports.layouts import PointColumn as PointColumn
from domain.imports.models import Import as Import
from domain.imports.models import ImportStatus as ImportStatus
from domain.imports.news import PROGRESSED as PROGRESSED
from domain.imports.news import progress_of as progress_of
from domain.imports.queries import by_id as by_id
from domain.imports.queries import by_ids as by_ids
from domain.imports.queries import listed as listed
from domain.imports.queries import unfinished as unfinished
from domain.imports.receiving import receive as receive
from domain.imports.rules import ImportRules as ImportRules
from domain.imports.service import begin as begin
from domain.imports.service import cancel as cancel
from domain.imports.service import look_after as look_after
