"""Strategies for every way in which an attempt may end."""

from google.rpc import code_pb2
from hypothesis import strategies as st

from jobsvc.domain.job import JobError
from jobsvc.domain.lapse import Lapse
from jobsvc.domain.lease import LeaseTerms
from jobsvc.domain.outcome import Cancelled, Failure, Release, Success
from jobsvc.domain.retry import RetryPolicy
from tests.support.samples import terms

CODES = st.sampled_from(sorted(set(code_pb2.Code.values()) - {code_pb2.OK}))
SECONDS = st.floats(0, 604_800)
SPREADS = st.floats(-1, 1)
FAILURES = st.builds(
    Failure,
    st.builds(JobError, CODES, st.just("SOME_REASON")),
    st.none() | st.booleans(),
    st.none() | SECONDS,
)
RELEASES = st.builds(Release, SECONDS)
ENDINGS = (
    st.builds(Success, st.none() | st.just('{"a": 1}'))
    | FAILURES
    | RELEASES
    | st.just(Cancelled("stopped"))
    | st.sampled_from(Lapse)
)
POLICIES = st.builds(
    RetryPolicy, st.integers(1, 100), SECONDS, st.floats(0, 86_400), st.floats(0, 10)
)


@st.composite
def _terms(draw: st.DrawFn) -> LeaseTerms:
    retry = draw(POLICIES)
    attempt = draw(st.integers(1, retry.max_attempts))
    return terms(attempt=attempt, retry=retry, cancel_requested=draw(st.booleans()))


TERMS = _terms()
