"""A clock that can be stepped, for processes that are started meanwhile."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("shifted_clock.c")


class ShiftedClock:
    """The clock of the processes that have `environment`."""

    def __init__(self, folder: Path) -> None:
        self._shift = folder / "shift"
        self._shift.write_bytes(bytes(8))
        self._shift.chmod(0o644)
        library = folder / "shifted_clock.so"
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        library.chmod(0o755)
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._shift)}

    def step(self, seconds: int) -> None:
        """Makes it so many seconds fast from now on; below 0: slow."""
        with self._shift.open("r+b", buffering=0) as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


@contextmanager
def shifted_clock() -> Iterator[ShiftedClock]:
    """A clock that is right at first. Skips the test where no such clock can be made."""
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("a clock of its own takes Linux and a C compiler")
    with tempfile.TemporaryDirectory(prefix="jobsvc-clock-") as folder:
        Path(folder).chmod(0o755)  # for the account of PostgreSQL
        yield ShiftedClock(Path(folder))
