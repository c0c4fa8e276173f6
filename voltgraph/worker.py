"""One of several workers: `python -m voltgraph.worker`, told everything by its environment."""

import sys

from voltgraph.server import run_worker
from voltgraph.settings import SettingsError, load

if __name__ == "__main__":
    try:
        run_worker(load())
    except SettingsError as error:
        sys.exit(str(error))
