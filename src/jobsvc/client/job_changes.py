"""What can be changed about a job that waits."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from jobsvc.client.payload import PayloadLike


class JobChanges(TypedDict, total=False):
    """New values, as in `NewJob`; what is left out stays as it is.

    `schedule_time` None means now, `expire_time` None never, `labels` and `input` None are empty.
    """

    priority: int
    schedule_time: datetime | None
    expire_time: datetime | None
    labels: Mapping[str, str] | None
    input: PayloadLike | None
