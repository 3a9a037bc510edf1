"""A house that can be killed and started again, and whose log can be asked."""

import json
import signal
from typing import Any

from tests.stories.house import House


class Server(House):
    def __enter__(self) -> "Server":
        super().__enter__()
        return self

    def start(self) -> None:
        """Start in a folder that is made if need be, and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        super().start()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the process, wait for it, and let its output go."""
        code = super().stop(how)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def logged(self) -> list[dict[str, Any]]:
        """What it wrote to its log, line by line. Raises ValueError for a line that is none of ours: a traceback."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def events(self) -> set[str]:
        return {line["event"] for line in self.logged()}
