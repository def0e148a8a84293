"""Virtual environments that hold the wheel and the packages it requires, and no checkout."""

import asyncio
import os
import shutil
import subprocess
import sys
import venv
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class Environment:
    """A fresh virtual environment with `jobsvc[extras]` from a wheel.

    Its other packages are those of the environment of the tests, the same files where they can be
    linked: those that the wheel and its extras require, and no more. So no package index is needed,
    and a requirement that the wheel forgets to name is missing.
    """

    def __init__(self, folder: Path, wheel: Path, *extras: str) -> None:
        venv.create(folder, symlinks=True)
        self._bin = folder / "bin"
        (packages,) = folder.glob("lib/python*/site-packages")
        for required in _required(wheel, extras):
            _copy(required, packages)
        # pip checks that all requirements are there: it has no index to take them from.
        pip = [sys.executable, "-m", "pip", "--python", self._bin / "python", "install"]
        options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-compile"]
        jobsvc = f"jobsvc[{','.join(extras)}] @ {wheel.as_uri()}"
        subprocess.run([*pip, *options, jobsvc], env=_environ(), check=True)

    @asynccontextmanager
    async def start(
        self, program: str, *arguments: str, cwd: Path, **environ: str
    ) -> AsyncIterator[Process]:
        """Runs a program of the environment while the block runs; then it is killed."""
        process = await self._start(program, arguments, cwd, environ)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def run(
        self, program: str, *arguments: str, cwd: Path, **environ: str
    ) -> tuple[int | None, str, str]:
        """Runs a program of the environment; returns exit code, stdout and stderr."""
        process = await self._start(program, arguments, cwd, environ)
        stdout, stderr = await process.communicate()
        return process.returncode, stdout.decode(), stderr.decode()

    async def _start(
        self, program: str, arguments: Iterable[str], cwd: Path, environ: dict[str, str]
    ) -> Process:
        return await asyncio.create_subprocess_exec(
            self._bin / program,
            *arguments,
            cwd=cwd,
            env={**_environ(), **environ},
            stdout=PIPE,
            stderr=PIPE,
        )


def _environ() -> dict[str, str]:
    """Ours, without the settings of jobsvc and of Python, which could lead to the checkout."""
    foreign = ("JOBSVC_", "OTEL_", "PYTHON", "PIP_", "VIRTUAL_ENV")
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign)}


def _required(wheel: Path, extras: Iterable[str]) -> list[Distribution]:
    """The installed distributions that the wheel with these extras requires, directly or not."""
    with ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    wanted = [("jobsvc", extra) for extra in ("", *extras)]
    while wanted:
        name, extra = wanted.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        if name == "jobsvc":
            texts = metadata.get_all("Requires-Dist", [])
        else:
            found[name] = distribution(name)
            texts = found[name].requires or []
        for requirement in map(Requirement, texts):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = canonicalize_name(requirement.name)
                wanted += [(needed, extra) for extra in ("", *requirement.extras)]
    return list(found.values())


def _copy(package: Distribution, packages: Path) -> None:
    for file in package.files or ():
        source = Path(str(file.locate()))
        if ".." not in file.parts and source.is_file():
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError:  # It is on another file system.
                shutil.copy2(source, target)
