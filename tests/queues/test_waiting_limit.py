"""How long a count of waiting jobs stands."""

import pytest

from jobsvc.domain.errors import QueueFull
from jobsvc.queues.waiting_limit import WaitingLimit


class _Database:
    """One that takes its time to count."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waiting = 0
        self.count_seconds = 0.0
        self.counted = 0

    async def count(self, _: str) -> int:
        self.counted += 1
        self.now += self.count_seconds
        return self.waiting


async def test_count_of_a_database_that_stood_still_keeps_nobody_out_for_long() -> None:
    database = _Database()
    limit = WaitingLimit(database.count, QueueFull, lambda: database.now)
    database.waiting, database.count_seconds = 10, 30.0
    with pytest.raises(QueueFull):
        await limit.let_in("q", 1, 10)
    database.waiting, database.count_seconds = 0, 0.01
    database.now += 5.1
    await limit.let_in("q", 1, 10)


async def test_count_that_takes_long_is_not_made_for_each_creation() -> None:
    database = _Database()
    limit = WaitingLimit(database.count, QueueFull, lambda: database.now)
    database.count_seconds = 2.0
    for _ in range(10):
        await limit.let_in("q", 1, 100)
        database.now += 0.4
    assert database.counted == 1
