"""The status of followed jobs, as it is read and handed on."""

from jobsvc.api.byte_budget import ByteBudget, Charge, current_charge
from jobsvc.api.status_writer import StatusWriter
from jobsvc.domain.fair_limit import FairLimit
from jobsvc.jobs.followers import Hub
from jobsvc.jobs.read import JobReader
from jobsvc.queues.catalog import Catalog
from jobsvc.store.store import Store
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT
from tests.store.support.samples import create


async def test_job_that_is_left_while_others_are_sent_is_not_sent_and_stays_left(
    store: Store,
) -> None:
    first, second = await create(store), await create(store)
    hub = Hub(store.jobs, 1.0)
    sent: list[str] = []

    async def send(update: pb.JobUpdate) -> None:
        sent.append(update.job_id)
        hub.leave(follower, [second])

    current_charge.set(Charge(ByteBudget(FairLimit.reserving(1 << 20, 50)), "caller"))
    reader = JobReader(store, Catalog(store.queues), hub)
    with hub.follow([first, second]) as follower:
        writer = StatusWriter(reader, follower, True, PAYLOAD_ENCODING_JSON_TEXT, send)
        await writer.write_changed([first, second])
        assert sent == [first]
        assert set(follower.seen) == {first}
