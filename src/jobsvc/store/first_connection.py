"""The wait for a database that is not there yet, as after the boot of a machine."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jobsvc.domain.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
#: The least time between two lines.
_LINE_SECONDS = 60.0

Result = TypeVar("Result")


async def until_there(
    attempt: Callable[[], Awaitable[Result]], why: DatabaseUnavailable, seconds: float
) -> Result:
    """Returns the result of the first attempt that does not raise DatabaseUnavailable, as one has
    already done (`why`). Tries once a second.

    Raises:
        DatabaseUnavailable: that of the last attempt, which began after so many `seconds`.
    """
    began, told = time.monotonic(), -_LINE_SECONDS
    while True:
        waited = time.monotonic() - began
        if waited - told >= _LINE_SECONDS:
            told = waited
            log.warning("waiting for the database, for %.0f s at most: %s", seconds - waited, why)
        await asyncio.sleep(min(_INTERVAL_SECONDS, max(seconds - waited, 0)))
        try:
            result = await attempt()
        except DatabaseUnavailable as error:
            why = error
            if time.monotonic() - began >= seconds:
                raise
        else:
            log.warning("the database is there, after %.0f s", time.monotonic() - began)
            return result
