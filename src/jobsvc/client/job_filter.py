"""Which jobs a list is about, and how many they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from jobsvc.client.job import JobState
from jobsvc.client.json_form import JsonForm


class JobFilter(TypedDict, total=False):
    """Conditions that must all hold; those that are left out do not count.

    A job is in one of `queues` and in one of `states`, has all `labels`, belongs to the session or
    the user that the client acts for (`own_session`, `own_user`), and was created at
    `create_time_from` or later, before `create_time_until`.
    """

    queues: Iterable[str]
    states: Iterable[JobState | str]
    labels: Mapping[str, str]
    own_session: bool
    own_user: bool
    create_time_from: datetime
    create_time_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCount(JsonForm):
    """How many jobs match a filter."""

    count: int
    is_estimate: bool
