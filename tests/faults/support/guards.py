"""Guards that can be taken out of a copy of the source, to show that the checker notices."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.faults.support.database_guards import DATABASE_GUARDS
from tests.faults.support.guard import Guard
from tests.faults.support.job_guards import JOB_GUARDS
from tests.faults.support.restore_guards import RESTORE_GUARDS

SOURCE = Path(__file__).parents[3] / "src"

GUARDS: Mapping[str, Guard] = {**JOB_GUARDS, **DATABASE_GUARDS, **RESTORE_GUARDS}


def without(guard: str) -> dict[str, str]:
    """The files of the source without a guard, by their paths.

    Raises:
        ValueError: the source does not hold what a patch takes out, once.
    """
    texts: dict[str, str] = {}
    for patch in GUARDS[guard].patches:
        text = texts.get(patch.file) or (SOURCE / patch.file).read_text(encoding="utf-8")
        if text.count(patch.old) != 1:
            raise ValueError(f"{patch.file} holds the guard {guard} {text.count(patch.old)} times")
        texts[patch.file] = text.replace(patch.old, patch.new)
    return texts


@contextmanager
def removed(guard: str) -> Iterator[Path]:
    """A copy of the source without a guard, with which processes run that are started in the block.
    With an empty name it is the source itself."""
    if not guard:
        yield SOURCE
        return
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="jobsvc-without-") as folder:
        copy = Path(folder) / "src"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for file, text in without(guard).items():
            (copy / file).write_text(text, encoding="utf-8")
        os.environ["PYTHONPATH"] = str(copy)
        try:
            yield copy
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before
