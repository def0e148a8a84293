"""The points about clients: who keeps the rules passes, and who breaks one is found out."""

import sys

import pytest

from jobsvc.conformance.call_stage import CallStage
from jobsvc.conformance.client_points import CLIENT_POINTS
from tests.conformance.support.examples import EXAMPLES, example
from tests.conformance.support.kit import faults_of, results_of, tiny, variants_of

pytestmark = [pytest.mark.xdist_group("conformance-client"), pytest.mark.timeout(300)]

NAMES = [point.name for point in CLIENT_POINTS]
#: Other ways to break a rule, and what the kit must have seen.
VARIANTS = {
    "same-request-id:spec": "another request",
    "failed:code": "its exit code is 0",
}


@pytest.fixture(scope="module")
async def faults() -> dict[str, str]:
    """What is seen of the client that breaks the rule of each point."""
    return await faults_of(CLIENT_POINTS, CallStage, "tiny_client")


@pytest.fixture(scope="module")
async def variants() -> dict[str, str]:
    """What is seen of the clients that break rules in other ways."""
    return await variants_of(VARIANTS, CLIENT_POINTS, CallStage, "tiny_client")


@pytest.mark.parametrize("name", NAMES)
def test_client_that_breaks_the_rule_fails_the_point(faults: dict[str, str], name: str) -> None:
    assert faults[name]


@pytest.mark.parametrize(("fault", "seen"), VARIANTS.items())
def test_other_ways_to_break_a_rule_are_seen(
    variants: dict[str, str], fault: str, seen: str
) -> None:
    assert seen in variants[fault]


async def test_client_that_keeps_all_rules_passes_all_points() -> None:
    results = await results_of(CLIENT_POINTS, CallStage, tiny("tiny_client"))
    assert [(r.name, r.fault) for r in results if not r.passed] == []
    assert [r.name for r in results] == NAMES


async def test_our_client_passes_all_points() -> None:
    command = [sys.executable, str(EXAMPLES / "conformance_client.py")]
    results = await results_of(CLIENT_POINTS, CallStage, command)
    assert [(r.name, r.fault) for r in results if not r.passed] == []


@pytest.mark.parametrize("language", ["go", "typescript"])
async def test_caller_of_an_example_passes_all_points(language: str) -> None:
    results = await results_of(CLIENT_POINTS, CallStage, example(language, "caller"))
    assert [(r.name, r.fault) for r in results if not r.passed] == []
