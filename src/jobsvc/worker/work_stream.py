"""One `Work` stream on a connection of its own: frames in, frames out, until it ends."""

import asyncio
import logging
from collections.abc import Callable
from math import inf

import grpc

from jobsvc.call_status import read_status
from jobsvc.domain.http_proxy import proxy_options
from jobsvc.v1.worker_service_pb2 import (
    DESCRIPTOR,
    Acknowledge,
    Subscribe,
    Subscribed,
    WorkRequest,
    WorkResponse,
)
from jobsvc.worker.duration import from_duration
from jobsvc.worker.stream_end import StreamEnd, as_end, end_of

log = logging.getLogger("jobsvc.worker")

#: Longest wait for `subscribed`, the connection included.
OPEN_SECONDS = 10.0
#: What gRPC puts before each message.
_PREFIX_BYTES = 5
_METHOD = f"/{DESCRIPTOR.services_by_name['WorkerService'].full_name}/Work"
#: The stream is abandoned after this many heartbeat intervals of silence.
SILENT_INTERVALS = 3

_OPTIONS = (
    # An unanswered ping shows that a connection has silently died.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # For pings that gRPC sends by itself, and that hold up all others until they are answered.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A dispatch is up to 256 KiB, or one job of any size that the server accepts.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The session reconnects, with all its leases; gRPC must not retry by itself.
    ("grpc.enable_retries", 0),
    # A new stream must get a new connection, perhaps to another replica.
    ("grpc.use_local_subchannel_pool", 1),
    # Any of several addresses, not always the first: that replica may be draining.
    (
        "grpc.service_config",
        '{"loadBalancingConfig":[{"pick_first":{"shuffleAddressList":true}}]}',
    ),
)


class StreamFailed(Exception):
    """A stream could not be opened."""

    def __init__(self, end: StreamEnd) -> None:
        super().__init__(end.message)
        self.end = end


class WorkStream:
    """The worker's end of one `WorkerService.Work` stream: `open`, then `hold`, then `close`."""

    def __init__(
        self,
        target: str,
        credentials: grpc.ChannelCredentials | None = None,
        limit_bytes: float = inf,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> None:
        options = [*_OPTIONS, *proxy_options(target)]
        self.channel = (
            grpc.aio.secure_channel(target, credentials, options=options)
            if credentials
            else grpc.aio.insecure_channel(target, options=options)
        )
        self._metadata = metadata
        #: How much the stream should carry, and what it has carried or was given to carry.
        self.limit_bytes = limit_bytes
        self.sent_bytes = 0
        #: Whether it ended before extensions were answered.
        self.lacks_answer = False
        #: Whether it was half-closed because it has no room left.
        self.is_full = False
        #: Set when another stream should take over: the server drains or does not extend leases, or
        #: the stream has ended.
        self.leaving = asyncio.Event()
        #: Why another stream should take over, unless this one has ended.
        self.reason = ""
        #: How the stream ended; None before.
        self.end: StreamEnd | None = None
        self._call: grpc.aio.StreamStreamCall[WorkRequest, WorkResponse] | None = None
        self._silence_seconds = 45.0
        self._extend_seconds = 10.0
        #: Runs from the first extension that is not answered.
        self._patience: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._unacknowledged = 0
        self._half_close = False
        #: Dispatches since another stream began to replace this one; None while none does.
        self._aside: list[WorkResponse] | None = None
        self._receive: Callable[[WorkResponse], None] = lambda _: None

    @property
    def room_bytes(self) -> float:
        """How much more the stream should carry."""
        return self.limit_bytes - self.sent_bytes

    async def open(self, subscribe: Subscribe) -> Subscribed:
        """Subscribes, and returns the `subscribed` frame.

        Raises:
            StreamFailed: the server is away, refuses, or is silent for OPEN_SECONDS.
        """
        call = self._call = self.channel.stream_stream(
            _METHOD, self._serialize, WorkResponse.FromString
        )(metadata=self._metadata)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await call.write(WorkRequest(subscribe=subscribe))
                while isinstance(frame := await call.read(), WorkResponse):
                    if frame.WhichOneof("frame") == "subscribed":
                        seconds = from_duration(frame.subscribed.heartbeat_interval)
                        self._silence_seconds = SILENT_INTERVALS * (seconds or 15.0)
                        self._extend_seconds = (
                            from_duration(frame.subscribed.extend_interval) or self._extend_seconds
                        )
                        return frame.subscribed
        except grpc.aio.AioRpcError as error:
            raise StreamFailed(end_of(error)) from None
        except asyncio.InvalidStateError:
            # The call ended before the write; its status tells why.
            raise StreamFailed(await self._status(call)) from None
        except TimeoutError:
            message = f"no answer within {OPEN_SECONDS:g} s"
            raise StreamFailed(StreamEnd(grpc.StatusCode.UNAVAILABLE, message)) from None
        raise StreamFailed(StreamEnd(grpc.StatusCode.UNAVAILABLE, "ended before `subscribed`"))

    async def hold(
        self,
        receive: Callable[[WorkResponse], None],
        next_frame: Callable[[], WorkRequest | None],
    ) -> StreamEnd:
        """Passes frames until the stream ends, closes it, and returns how it ended.

        `receive` is called with each frame that concerns leases. `next_frame` is
        called after each `wake`, until it returns None.
        """
        self._receive = receive
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write(next_frame))
                try:
                    self.end = await self._read()
                finally:
                    self.lacks_answer = self._patience is not None
                    self._answered()
                    self.leaving.set()
                    self._wake.set()
        finally:
            await self.close()
        return self.end

    def wake(self) -> None:
        """Says that there may be frames to send."""
        self._wake.set()

    def set_aside(self) -> None:
        """Sets dispatches aside while another stream tries to replace this one.

        If it succeeds, the server gives those jobs to a worker again. They are acknowledged at
        once: it may take longer than the server waits for that.
        """
        self._aside = []

    def resume(self) -> None:
        """Takes the dispatches that were set aside: the other stream has failed."""
        aside, self._aside = self._aside or [], None
        for frame in aside:
            self._receive(frame)

    def half_close(self) -> None:
        """Sends the frames that are due, and then ends the sending side.

        The server confirms what it has received and ends the stream; if it takes long, `leaving`
        is set before that.
        """
        self._half_close = True
        self._wake.set()

    async def close(self) -> None:
        """Gives up the stream and its connection."""
        await self.channel.close()
        # Or the connection would stay until the collector comes: gRPC keeps it for its call.
        self._call = None

    def _serialize(self, frame: WorkRequest) -> bytes:
        data = frame.SerializeToString()
        self.sent_bytes += len(data) + _PREFIX_BYTES
        return data

    def _take(self, dispatch: WorkResponse) -> None:
        self._unacknowledged = dispatch.sequence
        self._wake.set()
        if self._aside is None:
            self._receive(dispatch)
        else:
            self._aside.append(dispatch)

    def _leave(self, reason: str) -> None:
        self.reason = reason
        self.leaving.set()

    def _asked(self) -> None:
        # Another server may be there; this one must not keep the leases from being extended.
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(
                self._extend_seconds, self._leave, "the server does not answer"
            )

    def _answered(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    async def _read(self) -> StreamEnd:
        call = self._call
        assert call is not None, "open() comes first"
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(None) as silence:
                while True:
                    silence.reschedule(clock() + self._silence_seconds)
                    frame = await call.read()
                    if not isinstance(frame, WorkResponse):
                        return StreamEnd(grpc.StatusCode.OK, "ended")
                    match frame.WhichOneof("frame"):
                        case "dispatch":
                            self._take(frame)
                        case "drain":
                            self._leave(" ".join(frame.drain.reason.split()) or "the server drains")
                        case "lease_statuses":
                            if not self._half_close:
                                self._answered()
                            if not frame.lease_statuses.leases:
                                self._leave("the server has no database")
                            self._receive(frame)
                        case "outcome_results" | "retire":
                            self._receive(frame)
        except grpc.aio.AioRpcError as error:
            return end_of(error)
        except TimeoutError:
            message = f"silent for {self._silence_seconds:g} s"
            return StreamEnd(grpc.StatusCode.UNAVAILABLE, message)

    async def _write(self, next_frame: Callable[[], WorkRequest | None]) -> None:
        call = self._call
        assert call is not None, "open() comes first"
        try:
            while self.end is None:
                await self._wake.wait()
                self._wake.clear()
                while self.end is None:
                    if sequence := self._unacknowledged:
                        self._unacknowledged = 0
                        frame = WorkRequest(acknowledge=Acknowledge(sequence=sequence))
                    elif (next_ := next_frame()) is not None:
                        frame = next_
                    else:
                        break
                    await call.write(frame)
                    kind = frame.WhichOneof("frame")
                    log.debug("sent a frame: %s", kind)
                    if kind == "extend_leases":
                        self._asked()
                if self._half_close and self.end is None:
                    await call.done_writing()
                    self._asked()
                    return
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # The stream has ended; the reader returns how.
            return

    @staticmethod
    async def _status(call: "grpc.aio.StreamStreamCall[WorkRequest, WorkResponse]") -> StreamEnd:
        code, trailers = await call.code(), await call.trailing_metadata()
        return as_end(read_status(code, await call.details() or "", trailers))
