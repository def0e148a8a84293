"""Responses to callers on `Submit`."""

from collections.abc import Sequence

from jobsvc.api.convert.create_responses import created, differ_in_id_only
from jobsvc.api.status import status_of
from jobsvc.domain.created_job import CreateResult
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.v1 import job_service_pb2 as pb

#: The keys of the fields that `_encoded` writes by hand: `SubmitResponse.results`, and `tag` and
#: `created` of a result.
_RESULTS, _TAG, _CREATED = b"\x0a", b"\x08", b"\x12"
_MAX_RESULTS = 1000

#: A tag and the result of its job.
Result = tuple[int, CreateResult | Exception]


async def results_response(
    results: Sequence[Result], max_bytes: int
) -> tuple[pb.SubmitResponse, int]:
    """The first results, with their tags, and how many these are: as many as have about
    `max_bytes`, at least one. Lets other tasks run meanwhile."""
    results = results[:_MAX_RESULTS]
    response, count, left = pb.SubmitResponse(), 0, max_bytes
    time_slice = TimeSlice()
    while count < len(results) and left > 0:
        tag, result = results[count]
        if isinstance(result, Exception):
            failed = response.results.add(tag=tag, error=status_of(result))
            left -= failed.ByteSize()
            count += 1
        else:
            first = created(result).SerializeToString()
            run = _run(results, count, 1 + left // len(first))
            encoded_run = _encoded(first, run)
            response.MergeFromString(encoded_run)
            left -= len(encoded_run)
            count += len(run)
        if time_slice.used_up:
            await time_slice.yield_()
    return response, count


def _run(results: Sequence[Result], start: int, most: int) -> list[tuple[int, str]]:
    """The tags and job ids of results that differ from the first in nothing else."""
    tag, first = results[start]
    assert not isinstance(first, Exception)
    run = [(tag, first.job.id)]
    for tag, result in results[start + 1 : start + most]:
        if isinstance(result, Exception) or not differ_in_id_only(first, result):
            break
        run.append((tag, result.job.id))
    return run


def _encoded(first: bytes, run: Sequence[tuple[int, str]]) -> bytes:
    """A result for each tag and id. `first` is the response about the first of the ids, and differs
    from the others in nothing else. A tenth of the cost of filling in messages."""
    # The first place of the id, since the labels of an earlier job may name it.
    before, after = first.split(run[0][1].encode(), 1)
    size = _CREATED + _varint(len(first))
    parts: list[bytes] = []
    for tag, job_id in run:
        content = b"".join((_TAG, _varint(tag), size, before, job_id.encode(), after))
        parts += (_RESULTS, _varint(len(content)), content)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
