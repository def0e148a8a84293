"""docs/operations/logs.md has the messages and events that the code has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations/logs.md").read_text(encoding="utf-8")
SOURCES = (
    "api/audit_trail.py",
    "event_log.py",
    "dispatch/worker_log.py",
    "replica.py",
    "upkeep/bulk.py",
    "upkeep/horizon_log.py",
    "upkeep/rescue_log.py",
    "worker/refusal_log.py",
)


def texts() -> Iterator[str]:
    """Every text in the code that logs, with … for each value."""
    for source in SOURCES:
        tree = ast.parse((ROOT / "src/jobsvc" / source).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"%(\.0f|[sdg])", "…", node.value)


IN_CODE = set(texts())
ROWS = re.findall(r"^\|(.*?)\| (?:INFO|WARNING|ERROR) \| (.*?) \|", PAGE, re.MULTILINE)
_NAMED = re.findall(r"`([^`]*…[^`]*)`", " ".join(message for _, message in ROWS))
MESSAGES = [*_NAMED, "and … more (…)"]


@pytest.mark.parametrize("message", MESSAGES)
def test_message_of_the_page_is_in_the_code(message: str) -> None:
    assert message in IN_CODE


def test_page_has_every_event_of_the_code() -> None:
    in_code = {
        text
        for text in IN_CODE
        if re.fullmatch(r"(bulk_operation|worker|jobs|leases?|horizon|audit)_[a-z_]+|audit", text)
    }
    events = in_code - {"bulk_operation_id", "worker_id", "job_ids", "lease_id", "leases_end_by"}
    on_page = set(re.findall(r"`([a-z_]+)`", " ".join(event for event, _ in ROWS)))
    assert {event for event in on_page if not event.startswith("outcome_")} == events
    assert len(MESSAGES) > 10
