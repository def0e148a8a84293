"""The responses with the results of many jobs."""

from datetime import UTC, datetime

from msgspec.structs import replace

from jobsvc.api.convert.submit_responses import Result, results_response
from jobsvc.domain.created_job import Created
from jobsvc.domain.errors import QueueNotFound
from tests.store.support.samples import new_job
from tests.support.loop_watch import loop_watched

_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def _results(count: int, alike: bool) -> list[Result]:
    """Those of jobs that differ in their ids only, or in their labels, too; one in a hundred was
    refused."""
    made: list[Result] = []
    shared = new_job().options
    for tag in range(count):
        labels = {"n": str(tag)} | dict.fromkeys("abcdefgh", "x")
        new = replace(new_job(), options=shared if alike else replace(shared, labels=labels))
        made.append((tag, QueueNotFound("q") if tag % 100 == 50 else Created(new, _TIME)))
    return made


async def test_each_result_stands_in_one_response_in_its_place() -> None:
    for alike in (True, False):
        results, seen = _results(2500, alike), []
        left = list(results)
        while left:
            response, count = await results_response(left, 20_000)
            assert response.ByteSize() < 22_000
            assert count == len(response.results) > 0
            seen += response.results
            del left[:count]
        for (tag, result), told in zip(results, seen, strict=True):
            assert told.tag == tag
            if isinstance(result, Created):
                assert told.created.job.id == result.new.id
                assert told.created.job.spec.labels.get("n", str(tag)) == str(tag)
            else:
                assert told.HasField("error")


async def test_results_are_written_in_slices() -> None:
    results = _results(1000, alike=False)
    async with loop_watched() as passes:
        _, count = await results_response(results, 1 << 20)
    assert count == 1000
    assert len(passes) > 1
    assert max(passes) < sum(passes) * 0.75, passes
