"""Timers for jobs that are due later: few, whatever callers schedule."""

from jobsvc.dispatch.due_timers import MAX_TIMERS, DueTimers
from jobsvc.store.hints import Hints
from tests.support.probe import eventually


async def test_there_are_only_so_many_timers_and_they_make_room(hints: Hints) -> None:
    rung: set[str] = set()
    hints.listen(lambda hint: rung.update(hint.ready))
    timers = DueTimers(hints)
    for number in range(MAX_TIMERS):
        timers.start(f"q{number}", 0.01)
    timers.start("beyond", 0.01)
    await eventually(lambda: len(rung) == MAX_TIMERS)
    assert "beyond" not in rung, "left to the poll"
    timers.start("after", 0.01)
    await eventually(lambda: "after" in rung)
