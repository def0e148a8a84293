"""Files that may change while the server runs: looked at every second, and when somebody asks."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0


class FileUnusable(Exception):
    """A file that the settings name cannot be used. The text names the setting, and says why."""


class WatchedFiles:
    """Some files that are read as a whole. What cannot be used changes nothing.

    Files are told apart by inode, size and time of change behind all links, so that one that is
    replaced and a link that is turned (as Kubernetes does with its volumes) are noticed.
    """

    def __init__(self, subject: str, paths: Sequence[Path], load: Callable[[], None]) -> None:
        """`load` reads the files and takes what they say, or raises FileUnusable. `subject` says
        what they are, in the log."""
        self._subject = subject
        self._paths = paths
        self._load = load
        self._seen = self._look()
        self._complaint = ""
        load()

    def reload(self) -> None:
        """Reads them again, changed or not, and says in the log what came of it."""
        self._seen = self._look()
        try:
            self._load()
        except FileUnusable as error:
            if f"{error}" != self._complaint:
                log.error("%s: as before, since %s", self._subject, error)
            self._complaint = f"{error}"
            return
        self._complaint = ""
        log.info("%s: read anew", self._subject)

    async def run(self) -> None:
        """Reads them again when they have changed, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            # The second look is for files that are replaced one after the other.
            if await asyncio.to_thread(self._look) != self._seen or self._complaint:
                self.reload()

    def _look(self) -> Sequence[object]:
        found: list[object] = []
        for path in self._paths:
            try:
                stat = path.stat()
            except OSError as error:
                found.append(error.errno)
            else:
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return found
