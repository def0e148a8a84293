"""Reads the filter of lists."""

from functools import lru_cache

from jobsvc.api.convert.job_requests import LABEL_KEY
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.job import JobState
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.v1 import job_service_pb2 as pb

_MAX_QUEUES = 64
_MAX_STATES = 10
_MAX_LABELS = 8
_STATES = [state.value for state in JobState]


def read_filter(checks: RequestChecks, message: pb.JobFilter, caller: Owner) -> JobFilter:
    """Checks the field `filter` of a request, and returns what it selects."""
    checks.count("filter.queues", message.queues, 0, _MAX_QUEUES)
    for index, name in enumerate(message.queues):
        checks.queue(f"filter.queues[{index}]", name)
    checks.count("filter.states", message.states, 0, _MAX_STATES)
    for index, state in enumerate(message.states):
        checks.enum(f"filter.states[{index}]", state, _STATES)
    if message.own_session and caller.session_hash is None:
        checks.add("filter.own_session", "needs x-session-id in the metadata of the call")
    if message.own_user and not caller.user_id:
        checks.add("filter.own_user", "needs x-user-id in the metadata of the call")
    return JobFilter(
        queues=_shared_queues(tuple(message.queues)) if not checks.violations else frozenset(),
        states=_shared_states(tuple(message.states)) if not checks.violations else frozenset(),
        labels=checks.mapping("filter.labels", message.labels, _MAX_LABELS, LABEL_KEY),
        own_session=message.own_session,
        own_user=message.own_user,
        create_time_from=(
            checks.time("filter.create_time_from", message.create_time_from)
            if message.HasField("create_time_from")
            else None
        ),
        create_time_until=(
            checks.time("filter.create_time_until", message.create_time_until)
            if message.HasField("create_time_until")
            else None
        ),
    )


# Thousands of watches want the same few queues and states: they share the sets. Only what has been
# checked may come here, as it is kept.
@lru_cache(maxsize=256)
def _shared_queues(queues: tuple[str, ...]) -> frozenset[str]:
    return frozenset(queues)


@lru_cache(maxsize=256)
def _shared_states(states: tuple[int, ...]) -> frozenset[JobState]:
    return frozenset(JobState(state) for state in states)
