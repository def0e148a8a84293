"""Bounds of the look at waiting jobs. What it finds is in tests/api/test_queue_warnings.py."""

import re

from jobsvc.domain.queue import QueuePolicy
from jobsvc.queues.catalog import Catalog
from jobsvc.queues.update_warnings import warnings_of
from jobsvc.store.store import Store
from tests.store.support.samples import create

_COUNT = 16
_LARGE = '{"a": [' + ",".join("0" * 100_000) + "]}"


async def test_the_look_ends_when_its_time_is_over(store: Store) -> None:
    for _ in range(_COUNT):
        await create(store, input=_LARGE)
    policy = QueuePolicy(input_schema='{"required": ["b"]}')
    update = await store.queues.update("q", True, lambda _: policy)
    assert update is not None
    catalog = Catalog(store.queues)
    (whole,) = await warnings_of(update, store.queues, catalog, max_seconds=600)
    assert whole.message.startswith(f"{_COUNT} of {_COUNT} waiting jobs do not fit it")
    (part,) = await warnings_of(update, store.queues, catalog, max_seconds=0)
    counted = re.match("at least ([0-9]+) waiting jobs do not fit it", part.message)
    assert counted is not None
    assert 0 < int(counted[1]) < _COUNT
