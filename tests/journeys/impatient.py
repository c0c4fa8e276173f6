"""`serve` with a patience of its own, so that a test need not have the real one's."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.journeys.servers import Server
from voltgraph.processes import die_with_parent
from voltgraph.protocols import Patience
from voltgraph.server import run_worker, with_free_port
from voltgraph.servers import owned
from voltgraph.settings import load

ROOT = Path(__file__).parents[2]


class ImpatientServer(Server):
    def __init__(self, folder: Path, patience: Mapping[str, float], **environment: str | None) -> None:
        super().__init__(folder, **environment)
        self.patience = patience

    def launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOLTGRAPH_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(os.getpid()), json.dumps(self.patience)],
                env={**inherited, "PYTHONUNBUFFERED": "1", **self.environment},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )


def serve(patience: dict[str, Any]) -> None:
    with owned(load(port=0)) as settings:
        complete = with_free_port(settings)

        def ready() -> None:
            print(f"serving on http://{complete.host}:{complete.port}", flush=True)

        run_worker(complete, patience=Patience(**patience), when_ready=ready)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    serve(json.loads(sys.argv[2]))
