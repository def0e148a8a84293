"""How much fits on a page of a list."""

import pytest

from jobsvc.api.bounds import MAX_PAGE_BYTES
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.pages import fill_page, items_per_page
from jobsvc.v1.queue_service_pb2 import ListQueuesResponse, Queue


async def _queue(size_bytes: int) -> Queue:
    """A message of about this size."""
    return Queue(etag="x" * size_bytes)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([], 0),
        ([1, 1, 1], 3),
        ([MAX_PAGE_BYTES // 2 - 10] * 3, 2),
        ([1, MAX_PAGE_BYTES], 1),
        ([MAX_PAGE_BYTES + 1, 1], 1),
    ],
)
async def test_page_is_bounded_and_takes_one_item_whatever_its_size(
    sizes: list[int], count: int
) -> None:
    page = ListQueuesResponse()
    assert await fill_page(page.queues, sizes, _queue) == count
    assert list(page.queues) == [await _queue(size) for size in sizes[:count]]


@pytest.mark.parametrize(("asked", "items"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000)])
def test_page_size_has_a_default_and_a_maximum(asked: int, items: int) -> None:
    checks = RequestChecks()
    assert items_per_page(checks, asked, "") == items
    assert checks.violations == []


def test_malformed_page_is_named() -> None:
    checks = RequestChecks()
    items_per_page(checks, -1, "x" * 1025)
    assert [violation.field for violation in checks.violations] == ["page_size", "page_token"]
