"""StreamJobStatus: the status of a known set of jobs, now and at each change, until all have
ended."""

import asyncio
import random

from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.api.convert.jobs import (
    check_encoding,
    job_ids,
    view_is_full,
)
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.guard import Context
from jobsvc.api.status_writer import StatusWriter
from jobsvc.domain.owner import Owner
from jobsvc.jobs.followers import Hub
from jobsvc.jobs.read import JobReader
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb

_MAX_IDS = 1000


class StatusStreams:
    """Serves all status streams of a replica: one object, as thousands may be open."""

    def __init__(self, hub: Hub, reader: JobReader, heartbeat_seconds: float) -> None:
        self._hub = hub
        self._reader = reader
        self._heartbeat_seconds = heartbeat_seconds

    async def serve(
        self, request: pb.StreamJobStatusRequest, context: Context, caller: Owner
    ) -> None:
        """Writes to one stream until all its jobs have ended.

        Raises:
            InvalidRequest: a field breaks a rule of the contract.
            JobNotFound, JobNotOwned: before the first update, of any job.
            ServerDraining: the replica is about to exit.
            RateLimited: there was no room for outputs, as others are not read.
        """
        checks = RequestChecks()
        full = view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        heartbeat_seconds = (
            checks.seconds("heartbeat_interval", request.heartbeat_interval, 5, 300)
            if request.HasField("heartbeat_interval")
            else self._heartbeat_seconds
        )
        ids = job_ids(checks, "job_ids", request.job_ids, _MAX_IDS)
        checks.raise_if_violated()
        # Follow before reading: a change in between is then read again.
        with self._hub.follow(ids) as follower:

            async def send(update: pb.JobUpdate) -> None:
                await context.write(pb.StreamJobStatusResponse(update=update))

            stream = StatusWriter(self._reader, follower, full, request.payload_encoding, send)
            try:
                # The jobs get no name here: the stream would hold them until it ends.
                await stream.write_changed(ids, await stream.read_first(ids, caller))
                await context.write(pb.StreamJobStatusResponse(synced=pb.StreamSynced()))
                while follower.seen:
                    try:
                        # Spread, so that thousands of streams opened at once do not all beat at
                        # once.
                        async with asyncio.timeout(heartbeat_seconds * random.uniform(0.8, 1.0)):
                            changed = await follower.woken()
                    except TimeoutError:
                        now = Timestamp()
                        now.GetCurrentTime()
                        heartbeat = job_pb2.StreamHeartbeat(server_time=now)
                        await context.write(pb.StreamJobStatusResponse(heartbeat=heartbeat))
                        continue
                    await stream.write_changed(changed)
            finally:
                stream.charge.close()
