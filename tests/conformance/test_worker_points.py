"""The points about workers: who keeps the rules passes, and who breaks one is found out."""

import sys

import pytest

from jobsvc.conformance.work_stage import WorkStage
from jobsvc.conformance.worker_points import WORKER_POINTS
from tests.conformance.support.examples import EXAMPLES, example
from tests.conformance.support.kit import faults_of, results_of, tiny, variants_of

pytestmark = [pytest.mark.xdist_group("conformance-worker"), pytest.mark.timeout(300)]

NAMES = [point.name for point in WORKER_POINTS]
#: Other ways to break a rule, and what the kit must have seen.
VARIANTS = {
    "subscribe:twice": "`subscribe` twice",
    "worker-id:new": "another one after a reconnect",
    "acknowledge:beyond": "it acknowledged frame",
    "outcome-unavailable:other": "is another one",
    "lost-lease:runs-on": "went on to its end",
    "silence:hasty": "it left a stream that had heartbeats",
    "drain:no-token": "lacks the `resume_token`",
    "drain:no-leases": "`held_lease_ids` lacks a running job",
    "drain-old-stream:cut": "it cut the old stream",
    "leave:unconfirmed": "it ended with exit code 3",
}


@pytest.fixture(scope="module")
async def faults() -> dict[str, str]:
    """What is seen of the worker that breaks the rule of each point."""
    return await faults_of(WORKER_POINTS, WorkStage, "tiny_worker")


@pytest.fixture(scope="module")
async def variants() -> dict[str, str]:
    """What is seen of the workers that break rules in other ways."""
    return await variants_of(VARIANTS, WORKER_POINTS, WorkStage, "tiny_worker")


@pytest.mark.parametrize("name", NAMES)
def test_worker_that_breaks_the_rule_fails_the_point(faults: dict[str, str], name: str) -> None:
    assert faults[name]


@pytest.mark.parametrize(("fault", "seen"), VARIANTS.items())
def test_other_ways_to_break_a_rule_are_seen(
    variants: dict[str, str], fault: str, seen: str
) -> None:
    assert seen in variants[fault]


async def test_worker_that_keeps_all_rules_passes_all_points() -> None:
    results = await results_of(WORKER_POINTS, WorkStage, tiny("tiny_worker"))
    assert [(r.name, r.fault) for r in results if not r.passed] == []
    assert [r.name for r in results] == NAMES


async def test_our_worker_passes_all_points() -> None:
    command = [sys.executable, "-m", "jobsvc", "work", str(EXAMPLES / "conformance_worker.py")]
    results = await results_of(WORKER_POINTS, WorkStage, command)
    assert [(r.name, r.fault) for r in results if not r.passed] == []


@pytest.mark.parametrize("language", ["go", "typescript"])
async def test_worker_of_an_example_passes_all_points(language: str) -> None:
    command = [*example(language, "worker"), "--conformance"]
    results = await results_of(WORKER_POINTS, WorkStage, command)
    assert [(r.name, r.fault) for r in results if not r.passed] == []
