"""Orders to equipment and what became of them."""

from domain.commands.configuring import configure as configure
from domain.commands.events import CommandChanged as CommandChanged
from domain.commands.link import Outcome as Outcome
from domain.commands.link import StationLink as StationLink
from domain.commands.models import Command as Command
from domain.commands.models import CommandKind as CommandKind
from domain.commands.models import CommandStatus as CommandStatus
from domain.commands.queries import by_id as by_id
from domain.commands.queries import by_ids as by_ids
from domain.commands.queries import matching_remote_start as matching_remote_start
from domain.commands.queries import unfinished as unfinished
from domain.commands.rules import CommandRules as CommandRules
from domain.commands.service import complete as complete
from domain.commands.service import deliver as deliver
from domain.commands.service import expire_overdue as expire_overdue
from domain.commands.service import hang_up as hang_up
from domain.commands.service import request as request
