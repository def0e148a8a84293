"""What a run consisted of, in a few lines."""

from collections import Counter
from collections.abc import Sequence

from tests.e2e.support.history import AnyEvent, Close, Create, Fault, Run, Update
from tests.e2e.support.tables import Tables

_COMPLETED, _FAILED = 3, 4


def summary(events: Sequence[AnyEvent], tables: Tables) -> str:
    """Counts of what was asked, what was done more than once, and how it ended."""
    creations = Counter(event.result for event in events if isinstance(event, Create))
    runs = Counter(event.job_id for event in events if isinstance(event, Run))
    ends = Counter(result.state for result in tables.results.values())
    closes = Counter(event.code for event in events if isinstance(event, Close))
    born = {e.job_id: e.time for e in events if isinstance(e, Create) and e.job_id}
    ages = [
        e.time - born[e.job_id]
        for e in events
        if isinstance(e, Update) and e.stream and e.state >= _COMPLETED
    ]
    faults = sum(isinstance(event, Fault) for event in events)
    return (
        f"{len(tables.jobs)} jobs: {ends[_COMPLETED]} completed, {ends[_FAILED]} failed, "
        f"{len(tables.waiting)} wait, {len(tables.leased)} are leased\n"
        f"{creations['ok']} creations acknowledged, {creations['unknown']} errors in doubt, "
        f"{creations['fail']} refused\n"
        f"{runs.total()} deliveries, of {sum(n > 1 for n in runs.values())} jobs more than one; "
        f"{len(tables.attempts)} attempts were followed by another\n"
        f"{closes.total()} streams, {closes.total() - closes['OK']} of them broken\n"
        f"{faults} faults; the slowest job took {max(ages, default=0.0):.1f} s"
    )
