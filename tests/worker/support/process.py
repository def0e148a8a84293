"""A Python program in a process of its own, killed at the end if it still runs."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def python_module(folder: Path, *words: str, **environment: str) -> AsyncIterator[Process]:
    """Runs `python -m WORDS` in a folder."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        cwd=folder,
        env={**os.environ, **environment},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
