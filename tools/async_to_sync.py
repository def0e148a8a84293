"""Makes the blocking client from the one for asyncio: the same calls without `await`.

`python tools/async_to_sync.py` writes sync_client.py, sync_queue_calls.py,
sync_bulk_calls.py and sync_watch_calls.py; with `--check` it only fails when one is not current.
Connections and streams, where the two clients really differ, are written by hand:
async_connection.py and async_reply_stream.py, and the same names with `sync_`.
"""

import difflib
import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "src/jobsvc/client"
NAMES = ("client", "queue_calls", "bulk_calls", "watch_calls")

HEADER = '"""The client for code that blocks. Generated from async_{name}.py: do not edit."""\n'

#: Pattern and replacement, applied in this order.
REPLACEMENTS = (
    (r"  # noqa: ASYNC.*", ""),
    (r"\bAsyncGenerator\[(.+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsyncGenerator\b", "Generator"),
    (r"\b(async|await) ", ""),
    (r"\basync_", "sync_"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\b(Fake)?Async(?=[A-Z])", r"\1"),
    (r"\baclosing\b", "closing"),
    (r"\bany number of tasks\b", "any number of threads"),
)
TESTING = CLIENT.parent / "testing"
#: Signs that a replacement is missing.
LEFTOVERS = re.compile(r"\b(async|await|asyncio|aio|__a\w+__|a(next|iter|closing))\b|Async")


def to_sync(source: str, name: str = "client") -> str:
    """Returns the blocking form of an asynchronous module.

    Raises:
        ValueError: something asynchronous is left.
    """
    for pattern, replacement in REPLACEMENTS:
        source = re.sub(pattern, replacement, source)
    source = re.sub(r'\A"""[^"]*"""\n', HEADER.format(name=name), source)
    if left := LEFTOVERS.search(source):
        line = source[: left.start()].count("\n") + 1
        raise ValueError(f"line {line}: no replacement for {left[0]!r}")
    return source


def tidy(source: str, target: Path) -> str:
    """Returns a module with its imports sorted and its lines wrapped as ruff does."""
    for command in (["check", "--fix", "--quiet"], ["format"]):
        source = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", target, "-"],
            input=source,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return source


def main() -> None:
    """Writes the files, or checks them."""
    # With the fake of the client, for tests.
    for folder, name in [*((CLIENT, name) for name in NAMES), (TESTING, "fake_client")]:
        target = folder / f"sync_{name}.py"
        source = (folder / f"async_{name}.py").read_text()
        wanted = tidy(to_sync(source, name), target)
        if "--check" not in sys.argv[1:]:
            target.write_text(wanted)
            continue
        difference = list(
            difflib.unified_diff(
                target.read_text().splitlines(), wanted.splitlines(), "committed", "generated"
            )
        )
        if difference:
            sys.exit("\n".join([*difference, f"{target.name} is not current: run make generate"]))


if __name__ == "__main__":
    main()
