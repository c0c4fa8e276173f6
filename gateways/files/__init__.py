"""Files of readings over HTTP, in and out: translated here, decided in `domain.imports` and `domain.history`."""

from starlette.routing import Route

from domain.work import Workplace
from gateways.files.csv_file import CsvFiles as CsvFiles
from gateways.files.doors import Doorman as Doorman
from gateways.files.downloads import Downloads
from gateways.files.uploads import Uploads

NO_LIMIT = 2**63


def routes(workplace: Workplace, doorman: Doorman) -> list[Route]:
    """A file's size is limited as it is read, by what it is unpacked."""
    return [
        Route("/imports/{import_id}", Uploads(workplace, doorman), max_body_size=NO_LIMIT),
        Route("/exports/readings", Downloads(workplace, doorman)),
    ]
