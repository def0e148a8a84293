"""The program of random faults, for a few seconds."""

import pytest

from tests.faults.chaos import run
from tests.faults.support.schedule import Kind, plan_faults

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(240)]

SECONDS = 8
#: Its few faults are these.
SEED = 1851


async def test_every_invariant_holds_under_a_few_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(SECONDS, SEED) == []
    said = capsys.readouterr().out
    for fault in plan_faults(SEED, SECONDS, 2, 6):
        assert fault.kind in said
    assert Kind.HOLD_TRANSACTION in said
