"""Jobs are dealt out to streams, and streams to followers, each once."""

from bench.followed.run import Plan, streams_of


def test_every_job_is_followed_on_one_stream() -> None:
    ids = [f"{n}" for n in range(23)]
    dealt = [stream for follower in range(2) for stream in streams_of(ids, 5, follower)]
    assert len(dealt) == 5
    assert sorted(job_id for stream in dealt for job_id in stream) == sorted(ids)
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_two_changes_a_job_make_the_rate() -> None:
    plan = Plan(jobs=50_000, changes_per_second=2_000, seconds=10)
    assert (plan.moving, plan.resting) == (10_000, 40_000)
    assert Plan(jobs=100, changes_per_second=2_000, seconds=10).resting == 0
