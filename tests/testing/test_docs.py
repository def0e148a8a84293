"""The examples of docs/testing.md, run as the project that they are."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_examples_pass(tmp_path: Path) -> None:
    files = dict(
        re.findall(
            r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
        )
    )
    assert len(files) == 4
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "jobsvc.testing.plugin"]
    options = ["-p", "no:cacheprovider", "-o", "asyncio_mode=auto", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [*command, *options, str(tmp_path)],
        env={**_environment(), "PYTHONPATH": ":".join([str(tmp_path), *filter(None, sys.path)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tests = sum(
        len(re.findall(r"^(?:async )?def test_", text, re.MULTILINE)) for text in files.values()
    )
    assert f"{tests} passed" in done.stdout


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("JOBSVC_", "PYTEST_"))}
