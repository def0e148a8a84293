"""WatchJobs: all jobs that match a filter, now and at each change, until the caller leaves."""

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.api.auth import sees_payloads
from jobsvc.api.bookmark import Bookmark, read_bookmark, write_bookmark
from jobsvc.api.byte_budget import ANSWER_SECONDS, SMALL_BYTES, Charge, current_charge
from jobsvc.api.convert.job_filter import read_filter
from jobsvc.api.convert.jobs import check_encoding, view_is_full, write_output, write_status
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.guard import Context
from jobsvc.domain.job import Job
from jobsvc.domain.owner import Owner
from jobsvc.jobs.list import JobLister
from jobsvc.jobs.read import JobReader
from jobsvc.jobs.watch_feed import WatchFeed
from jobsvc.jobs.watcher import UpdateForm, Watcher
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb

#: Jobs found in one statement when a stream begins.
_FIND_IDS = 1000
#: Jobs read in one go: the loop stays free, and memory bounded.
_READ_IDS = 100
#: The same with their outputs, which have up to 256 KiB each.
_READ_OUTPUTS = 32


class WatchStreams:
    """Serves all watches of a replica: one object, as thousands may be open."""

    def __init__(
        self, feed: WatchFeed, lister: JobLister, reader: JobReader, heartbeat_seconds: float
    ) -> None:
        self._feed = feed
        self._lister = lister
        self._reader = reader
        self._heartbeat_seconds = heartbeat_seconds

    async def serve(self, request: pb.WatchJobsRequest, context: Context, caller: Owner) -> None:
        """Writes to one stream until the caller leaves.

        Raises:
            InvalidRequest: a field breaks a rule of the contract.
            DatabaseUnavailable: it does not answer: open the stream again.
            ServerDraining: the replica is about to exit.
            SlowConsumer: too many updates are pending.
            RateLimited: there was no room for outputs, as others are not read.
        """
        checks = RequestChecks()
        full = request.view != job_pb2.JOB_VIEW_UNSPECIFIED and view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        heartbeat_seconds = (
            checks.seconds("heartbeat_interval", request.heartbeat_interval, 5, 300)
            if request.HasField("heartbeat_interval")
            else self._heartbeat_seconds
        )
        wanted = read_filter(checks, request.filter, caller)
        resumed_at = read_bookmark(checks, request.bookmark) if request.bookmark else None
        checks.raise_if_violated()
        form = (
            UpdateForm(request.payload_encoding or UpdateForm.FULL_STRUCT)
            if full
            else UpdateForm.BASIC
            if sees_payloads()
            else UpdateForm.WITHOUT_METADATA
        )
        changes_only = request.changes_only
        del request, checks  # Thousands of streams would hold them until they end.
        with self._feed.watch(wanted, caller, form, heartbeat_seconds) as watcher:
            stream = _Stream(self._feed, self._reader, context, watcher)
            try:
                # Watch before reading: a change in between is then marked.
                await self._feed.until_covered(watcher)
                if resumed_at is not None:
                    async for ids in self._feed.changed_since(*resumed_at, wanted):
                        await stream.write_as_read(ids)
                        await stream.write_all_pending()
                elif not changes_only:
                    await self._write_all(stream, watcher)
                await stream.write_all_pending()
                await stream.write_synced()
                while True:
                    await stream.write_pending()
                    if watcher.is_beat_due:
                        await stream.write_heartbeat()
                    else:
                        await watcher.wait()
            finally:
                stream.close()

    async def _write_all(self, stream: "_Stream", watcher: Watcher) -> None:
        """Writes the jobs as they are now. Changes may come in between."""
        before: str | None = None
        while True:
            walk = await self._lister.find(
                watcher.wanted, watcher.caller, before, _FIND_IDS, measures_payloads=False
            )
            await stream.write_as_read([found.job_id for found in walk.found])
            await stream.write_all_pending()
            before = walk.next_before
            if before is None:
                return


class _Stream:
    """One stream that is being written to."""

    __slots__ = (
        "_bookmarked",
        "_charge",
        "_complete_to",
        "_context",
        "_distribution",
        "_due",
        "_feed",
        "_is_synced",
        "_next_complete_to",
        "_reader",
        "_watcher",
    )

    def __init__(
        self, feed: WatchFeed, reader: JobReader, context: Context, watcher: Watcher
    ) -> None:
        self._feed = feed
        self._distribution = feed.distribution
        self._reader = reader
        self._context = context
        self._watcher = watcher
        self._is_synced = False
        #: All that changed before this watermark has been sent; but for the first round, at first.
        self._complete_to = feed.watermark
        #: The same once so many more pending updates have been sent.
        self._next_complete_to, self._due = feed.watermark, 0
        #: The watermark of the last bookmark.
        self._bookmarked: datetime | None = None
        #: What it holds of the bytes, once it had outputs to send.
        self._charge: Charge | None = None

    def close(self) -> None:
        """Gives back what it holds of the bytes."""
        if self._charge is not None:
            self._charge.close()

    async def write_as_read(self, ids: Sequence[str]) -> None:
        """Reads jobs for this stream alone, and sends those that match.

        Raises:
            RateLimited: there was no room for their outputs.
        """
        watcher = self._watcher
        full = watcher.form.is_full
        size = _READ_OUTPUTS if full else _READ_IDS
        for start in range(0, len(ids), size):
            watcher.check()
            part = ids[start : start + size]
            jobs = dict(await self._reader.read_statuses(part, full))
            for job_id in part:
                job = jobs.pop(job_id, None)
                if job is not None and watcher.wanted.matches(job, watcher.caller):
                    self._distribution.seen(watcher, job)
                    await self._write(await write_update(job, watcher.form))

    async def write_all_pending(self) -> None:
        """Sends the updates that are pending now. Raises as `write_as_read`."""
        await self.write_pending()
        for _ in range(0, self._watcher.pending, _READ_IDS):
            await self.write_pending()

    async def write_pending(self) -> None:
        """Sends some of the updates that are pending, the rest of which still counts as that.
        Raises as `write_as_read`."""
        watcher, latest = self._watcher, self._distribution.latest
        if not self._due:
            # Whatever changed before this watermark is pending now, or has been sent.
            self._next_complete_to, self._due = self._feed.watermark, watcher.pending
        ids = watcher.take(_READ_IDS)
        # Some may have left by themselves, matching no more.
        self._due = min(max(self._due - len(ids), 0), watcher.pending)
        states = watcher.wanted.states
        unread: list[str] = []
        last = b""
        for job_id in ids:
            watcher.check()
            watcher.unmark(job_id)  # Marked again meanwhile: the latest is sent now.
            written = latest.written(job_id)
            text = None if written is None else written.texts.get(watcher.form)
            if written is None or text is None:
                unread.append(job_id)
            elif not states or written.state in states:
                # One behind, so that the last one can carry a bookmark.
                if last:
                    await self._write(last)
                last = text
        if unread:
            if last:
                await self._write(last)
                last = b""
            await self.write_as_read(unread)
        if not self._due:
            self._complete_to = self._next_complete_to
        if last:
            await self._write(last + self._bookmark())
        if ids:
            watcher.sent()

    async def write_synced(self) -> None:
        """Says that all jobs have been reported once. From now on there are bookmarks."""
        self._is_synced = True
        response = pb.WatchJobsResponse(synced=pb.StreamSynced())
        await self._context.write(response.SerializeToString() + self._bookmark())
        self._watcher.sent()

    async def write_heartbeat(self) -> None:
        """Says that the stream is alive."""
        now = Timestamp()
        now.GetCurrentTime()
        response = pb.WatchJobsResponse(heartbeat=job_pb2.StreamHeartbeat(server_time=now))
        self._bookmarked = None
        await self._context.write(response.SerializeToString() + self._bookmark())
        self._watcher.sent()

    def _bookmark(self) -> bytes:
        """A bookmark as it is added to a message, unless the last one says the same."""
        if not self._is_synced or self._complete_to == self._bookmarked:
            return b""
        self._bookmarked = self._complete_to
        response = pb.WatchJobsResponse(
            bookmark=write_bookmark(Bookmark(self._feed.timeline, self._complete_to))
        )
        return response.SerializeToString()

    async def _write(self, text: bytes) -> None:
        if len(text) > SMALL_BYTES:
            # Until it is sent: thousands of streams may not be read.
            self._charge = charge = self._charge or current_charge.get().apart()
            await charge.reserve(len(text), ANSWER_SECONDS)
            await self._context.write(text)
            charge.close()
        else:
            await self._context.write(text)


async def write_update(job: Job, form: UpdateForm) -> bytes:
    """Returns an update of a job as it is sent."""
    response = pb.WatchJobsResponse()
    update = response.update
    update.job_id = job.id
    update.queue = job.queue
    update.etag = job.etag
    full = form.is_full
    # One text is for many readers, so that the current caller does not count.
    write_status(update.status, job, full, with_metadata=form is not UpdateForm.WITHOUT_METADATA)
    if full:
        await write_output(update.status, job, form.value)
    return response.SerializeToString()
