"""Where a point about a client is played: its calls as it makes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpc import aio

from jobsvc.conformance.call_output import CallOutput, read_output
from jobsvc.conformance.payloads import JsonObject
from jobsvc.conformance.refusal import Refusal
from jobsvc.conformance.served_calls import ServedCreation, ServedFollowing
from jobsvc.conformance.stage import SOON_SECONDS, START_SECONDS, Stage
from jobsvc.v1 import job_service_pb2 as wire
from jobsvc.v1 import job_service_pb2_grpc


class CallStage(Stage):
    """A client, and the calls that it has made."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        super().__init__(command, folder)
        self.creations: list[ServedCreation] = []
        self.followings: list[ServedFollowing] = []
        self._creations_taken = self._followings_taken = 0

    async def creation(self, within: float = START_SECONDS) -> ServedCreation:
        """Starts the client if there is none, and returns its next call of CreateJob."""
        if not self._programs:
            await self.start()
        await self.until(
            lambda: len(self.creations) > self._creations_taken, within, "call of CreateJob"
        )
        self._creations_taken += 1
        return self.creations[self._creations_taken - 1]

    async def following(self, job_id: str, within: float = SOON_SECONDS) -> ServedFollowing:
        """Returns the next call of StreamJobStatus, which must be for this job."""
        await self.until(
            lambda: len(self.followings) > self._followings_taken,
            within,
            "call of StreamJobStatus",
        )
        self._followings_taken += 1
        following = self.followings[self._followings_taken - 1]
        followed = list(following.request.job_ids)
        self.require(followed == [job_id], f"it follows {followed}, not the job of the answer")
        return following

    async def refuse_creations(self, *refusals: Refusal) -> ServedCreation:
        """Refuses as many creations, and returns the next one, not yet answered, which must be the
        same request."""
        first = call = await self.creation()
        for refusal in refusals:
            call.refuse(refusal)
            call = await self.creation(SOON_SECONDS)
            same_id = call.request.request_id == first.request.request_id
            self.require(same_id, "it repeated CreateJob with another `request_id`")
            same = call.request == first.request
            self.require(same, "it repeated CreateJob with another request")
        return call

    async def followed(self) -> ServedFollowing:
        """Lets the client create a job, and returns the stream by which it follows it."""
        call = await self.creation()
        return await self.following(call.answer())

    async def complete(self, job_id: str, within: float = SOON_SECONDS) -> None:
        """Lets a job complete that the client follows next, and waits for its word."""
        output: JsonObject = {"number": 1}
        following = await self.following(job_id, within)
        following.finish(7, output)
        printed = await self.ended("COMPLETED")
        self.require(printed.output == output, "it did not print the output of the job")

    async def ended(self, state: str) -> CallOutput:
        """Waits for the end of the client, and returns what it printed.

        Raises:
            RuleBroken: it names another state, or its exit code does not fit the state.
        """
        await self.gone()
        printed = self.printed
        self.require(printed.state == state, f"the last state that it printed is {printed.state!r}")
        code = self.program.exit_code
        fits = (code == 0) == (state == "COMPLETED")
        self.require(fits, f"its exit code is {code} where the job is {state}")
        return printed

    async def gone(self, within: float = SOON_SECONDS) -> None:
        """Waits for the end of the client."""
        self.may_end = True
        await self.until(lambda: self.program.exit_code is not None, within, "end of the process")

    async def gives_up(self) -> None:
        """Waits until the client has ended without success, and without another call."""

        def calls() -> int:
            return len(self.creations) + len(self.followings)

        before, self.may_end = calls(), True
        await self.until(
            lambda: self.program.exit_code is not None or calls() > before,
            SOON_SECONDS,
            "end of the process",
        )
        self.require(calls() == before, "it made the call again that was refused for good")
        self.require(self.program.exit_code != 0, "its exit code is 0 after a refusal")

    @property
    def printed(self) -> CallOutput:
        """What the client has printed so far."""
        return read_output(self.program.output)

    def _add_services(self, server: aio.Server) -> None:
        job_service_pb2_grpc.add_JobServiceServicer_to_server(
            _Jobs(self),  # type: ignore[abstract]  # no point needs the others
            server,
        )


class _Jobs(job_service_pb2_grpc.JobServiceServicer):
    def __init__(self, stage: CallStage) -> None:
        self._stage = stage

    # Any: gRPC's context, generic for type checkers only.
    async def CreateJob(
        self, request: wire.CreateJobRequest, context: Any
    ) -> wire.CreateJobResponse:
        self._stage.note_call()
        call = ServedCreation(request)
        self._stage.creations.append(call)
        return await call.serve(context)

    async def StreamJobStatus(  # type: ignore[override]  # it writes to the context
        self, request: wire.StreamJobStatusRequest, context: Any
    ) -> None:
        self._stage.note_call()
        following = ServedFollowing(request, context)
        self._stage.followings.append(following)
        await following.serve()
