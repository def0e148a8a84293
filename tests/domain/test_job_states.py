"""The table of transitions is what the rules do and what the docs draw."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.job import ENDED, TRANSITIONS, JobState
from jobsvc.domain.outcome import Ending, Finish, Terms, decide
from jobsvc.v1 import job_pb2
from tests.domain.support.outcomes import ENDINGS, SPREADS, TERMS

STATES_PAGE = Path(__file__).parents[2] / "docs" / "states.md"
_ARROW = re.compile(r"^\s*(\w+|\[\*\])\s*-->\s*(\w+|\[\*\])\s*(?::\s*(\S.*))?$")


def _diagram() -> list[tuple[str, str, str]]:
    """The arrows of the state diagram in docs/states.md: from, to, and what they say."""
    text = STATES_PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    found = [_ARROW.match(line) for line in block.splitlines() if "-->" in line]
    assert all(found), "every arrow is one line: FROM --> TO: why"
    return [(m[1], m[2], m[3] or "") for m in found if m]


@given(TERMS, ENDINGS, SPREADS, st.booleans())
def test_every_decision_is_a_known_transition(
    held: Terms, ending: Ending, spread: float, expired: bool
) -> None:
    verdict = decide(held, ending, spread, expired)
    state = verdict.state if isinstance(verdict, Finish) else JobState.PENDING
    assert state in TRANSITIONS[JobState.PROCESSING]


def test_every_state_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(JobState)
    assert {state for state in JobState if state.ended} == ENDED


def test_states_are_numbered_as_in_the_contract() -> None:
    contract = {k.removeprefix("JOB_STATE_"): v for k, v in job_pb2.JobState.items() if v}
    assert {state.name: state.value for state in JobState} == contract


def test_diagram_shows_exactly_the_transitions() -> None:
    drawn = {(a, b) for a, b, _ in _diagram() if "[*]" not in (a, b)}
    assert drawn == {(a.name, b.name) for a, ends in TRANSITIONS.items() for b in ends}


def test_diagram_says_why_a_job_moves() -> None:
    assert all(why for a, b, why in _diagram() if "[*]" not in (a, b))


def test_diagram_begins_and_ends_where_jobs_do() -> None:
    assert {b for a, b, _ in _diagram() if a == "[*]"} == {"PENDING"}
    assert {a for a, b, _ in _diagram() if b == "[*]"} == {state.name for state in ENDED}
