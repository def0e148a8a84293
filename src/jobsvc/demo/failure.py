"""The failure of the demo, and the logs that explain it."""

from pathlib import Path


class DemoFailed(Exception):
    """A result of the demo is not as it must be. The text, for people, says which."""


def tails(logs: Path, lines: int = 15) -> dict[Path, str]:
    """Returns the last lines of each log in a folder that is not empty."""
    texts = {log: log.read_text(errors="replace").rstrip() for log in sorted(logs.glob("*.log"))}
    return {log: "\n".join(t.splitlines()[-lines:]) for log, t in texts.items() if t}
