"""Counts and histograms in plain numbers, and the bound on the number of queues."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.telemetry.catalogue import JOB_RUN, JOBS_CREATED, MAX_QUEUES, OTHER_QUEUES
from jobsvc.telemetry.jobs import JobMeasurements
from jobsvc.telemetry.measurements import Distribution, Measurements

BOUNDARIES = (0.1, 1.0, 5.0)
#: On the boundaries, and on either side.
VALUES = st.lists(st.sampled_from([-1.0, 0.0, 0.1, 0.11, 1.0, 2.0, 5.0, 5.1, 1e9]))


@given(VALUES)
def test_many_values_at_once_are_counted_as_one_by_one(values: list[float]) -> None:
    at_once, one_by_one = Distribution(BOUNDARIES), Distribution(BOUNDARIES)
    at_once.record_all(iter(values), "q")
    for value in values:
        one_by_one.record(value, "q")
    expected = [0] * 4
    for value in values:
        expected[bisect_left(BOUNDARIES, value)] += 1
    for found in (at_once, one_by_one):
        counts = [(key, buckets.counts) for key, buckets in found.read()]
        assert counts == ([(("q",), expected)] if values else [])


def test_value_on_a_boundary_is_in_its_bucket() -> None:
    found = Distribution(BOUNDARIES)
    found.record(1.0)
    [(_, buckets)] = found.read()
    assert (buckets.counts, buckets.sum) == ([0, 1, 0, 0], 1.0)


def test_queues_beyond_the_first_are_others() -> None:
    measurements = Measurements()
    jobs = JobMeasurements(measurements)
    for number in range(MAX_QUEUES + 50):
        jobs.created([f"q{number}"] * 2)
    jobs.created(["q0"])
    counts = dict(measurements.tally(JOBS_CREATED).read())
    assert len(counts) == MAX_QUEUES + 1
    assert counts[(OTHER_QUEUES,)] == 100
    assert counts[("q0",)] == 3


def test_who_asks_for_an_instrument_gets_the_same() -> None:
    measurements = Measurements()
    assert measurements.tally(JOBS_CREATED) is measurements.tally(JOBS_CREATED)
    assert measurements.distribution(JOB_RUN) is measurements.distribution(JOB_RUN)


def test_last_sampled_value_of_each_bucket_is_its_example() -> None:
    found = Distribution(BOUNDARIES)
    for value, traceparent in (
        (0.5, f"00-{'a' * 32}-{'b' * 16}-01"),
        (0.6, f"00-{'c' * 32}-{'d' * 16}-03"),
        (0.7, f"00-{'e' * 32}-{'f' * 16}-00"),
        (0.8, ""),
        (7.0, f"00-{'e' * 32}-{'f' * 16}-02"),
    ):
        found.record(value, "q")
        found.exemplify(value, traceparent, "q")
    [(_, buckets)] = found.read()
    assert [(bucket, e.value) for bucket, e in buckets.examples.items()] == [(1, 0.6)]
