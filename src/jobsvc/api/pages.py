"""Pages of lists: `page_size` and `page_token` of the request, and how much fits on one page."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from jobsvc.api.bounds import MAX_PAGE_BYTES
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.event_loop.time_slice import TimeSlice

_DEFAULT_ITEMS = 50
MAX_ITEMS = 1000
_MAX_TOKEN_LENGTH = 1024

T = TypeVar("T")
M = TypeVar("M", bound=Message, contravariant=True)


class _Items(Protocol[M]):
    """The repeated field of a response."""

    def __len__(self) -> int: ...
    def append(self, message: M, /) -> None: ...


def items_per_page(
    checks: RequestChecks, page_size: int, page_token: str, max_items: int = MAX_ITEMS
) -> int:
    """Checks the fields that every list request has, and returns how many items fit on a page."""
    checks.number("page_size", page_size, 0, 2**31 - 1)
    checks.text("page_token", page_token, _MAX_TOKEN_LENGTH)
    return min(page_size or _DEFAULT_ITEMS, max_items)


async def fill_page(
    page: _Items[M], items: Sequence[T], message: Callable[[T], Awaitable[M]]
) -> int:
    """Appends items until the page has `MAX_PAGE_BYTES`, and returns how many. One always fits."""
    time_slice, size_bytes = TimeSlice(), 0
    for item in items:
        sent = await message(item)
        size_bytes += sent.ByteSize()
        if size_bytes > MAX_PAGE_BYTES and len(page):
            break
        page.append(sent)
        if time_slice.used_up:
            await time_slice.yield_()
    return len(page)
