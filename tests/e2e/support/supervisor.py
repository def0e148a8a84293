"""A small service manager: it runs what a unit of deploy/systemd says, and hears how it is."""

import os
import socket
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.support.processes import Process
from tests.support.probe import eventually

UNITS = Path(__file__).parents[3] / "deploy/systemd"
#: What the units start, and what it is here.
_COMMAND = "/opt/jobsvc/bin/jobsvc "


def read_unit(name: str) -> Mapping[str, list[str]]:
    """The values of each directive of a unit, in order."""
    directives = defaultdict[str, list[str]](list)
    for line in (UNITS / name).read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            directives[key].append(value)
    return directives


class Supervised(Process):
    """The command of a unit, with a socket to tell how it is."""

    def __init__(
        self, unit: str, folder: Path, environment: Mapping[str, str], *, instance: str = ""
    ) -> None:
        folder.mkdir()
        self.unit = read_unit(unit)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._socket.setblocking(False)
        #: The assignments that it has sent.
        self.heard: list[str] = []
        (start,) = self.unit["ExecStart"]
        assert start.startswith(_COMMAND)
        arguments = start.removeprefix(_COMMAND).replace("%i", instance).split()
        given = dict(pair.split("=", 1) for pair in self.unit["Environment"])
        seconds = self.unit["WatchdogSec"]
        watchdog = {"WATCHDOG_USEC": f"{int(seconds[0])}000000"} if seconds else {}
        super().__init__(
            ["jobsvc", *arguments],
            folder / "process",
            {**given, **watchdog, "NOTIFY_SOCKET": str(folder / "notify"), **environment},
        )

    async def tells(self, assignment: str, seconds: float = 30.0) -> list[str]:
        """Waits until it has sent an assignment since the last look; returns all until then."""

        def look() -> bool:
            self._hear()
            return assignment in self.heard

        await eventually(
            look,
            seconds=seconds,
            what=lambda: f"{assignment}; {self.heard}, {self.exit_code}, {self.stderr[-2000:]}",
        )
        end = self.heard.index(assignment) + 1
        heard, self.heard = self.heard[:end], self.heard[end:]
        return heard

    def reload(self) -> None:
        """Runs ExecReload."""
        (command,) = self.unit["ExecReload"]
        assert os.system(command.replace("$MAINPID", str(self.pid))) == 0

    @property
    def is_started_again(self) -> bool:
        """Whether the unit says so of a process that has ended."""
        assert self.exit_code is not None
        assert self.unit["Restart"] == ["on-failure"]
        prevented = [int(code) for code in self.unit["RestartPreventExitStatus"][0].split()]
        return self.exit_code not in (0, *prevented)

    def take_heard(self) -> list[str]:
        """Returns what it has sent since the last look."""
        self._hear()
        heard, self.heard = self.heard, []
        return heard

    def _hear(self) -> None:
        while True:
            try:
                self.heard += self._socket.recv(65_536).decode().splitlines()
            except BlockingIOError:
                return

    def kill(self) -> None:
        super().kill()
        self._socket.close()
