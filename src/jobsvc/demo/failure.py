"""Why the demo did not work out."""

from pathlib import Path


class DemoFailed(Exception):
    """Something did not come out as it must. The text, for people, says what."""


def tails(logs: Path, lines: int = 15) -> dict[Path, str]:
    """The last lines of each log in a folder that has any."""
    texts = {log: log.read_text(errors="replace").rstrip() for log in sorted(logs.glob("*.log"))}
    return {log: "\n".join(t.splitlines()[-lines:]) for log, t in texts.items() if t}
