"""ExternalScaler: tells KEDA how many workers a queue needs."""

import time
from collections.abc import Awaitable

from jobsvc.api.convert.scaling import read_rule, write_spec, write_value
from jobsvc.api.guard import Context
from jobsvc.domain.errors import ServerDraining
from jobsvc.domain.scaling import is_active, scale_value
from jobsvc.queues.statistics import QueueStatistics
from jobsvc.v1 import externalscaler_pb2 as pb
from jobsvc.v1.externalscaler_pb2_grpc import ExternalScalerServicer


class ExternalScaler(ExternalScalerServicer):
    """Serves the triggers of KEDA, one for each queue that is scaled."""

    def __init__(self, statistics: QueueStatistics, repeat_seconds: float) -> None:
        """A stream says again what it has said after `repeat_seconds`: KEDA drops what it hears
        while it does not know the metrics of a trigger yet."""
        self._statistics = statistics
        self._repeat_seconds = repeat_seconds

    async def IsActive(self, request: pb.ScaledObjectRef, context: Context) -> pb.IsActiveResponse:
        rule = read_rule(request)
        counts = await self._statistics.read(rule.queue)
        return pb.IsActiveResponse(result=is_active(rule, counts))

    def StreamIsActive(  # type: ignore[override]  # it writes to the context
        self, request: pb.ScaledObjectRef, context: Context
    ) -> Awaitable[None]:
        return self._stream(request, context)

    async def GetMetricSpec(
        self, request: pb.ScaledObjectRef, context: Context
    ) -> pb.GetMetricSpecResponse:
        return write_spec(read_rule(request))

    async def GetMetrics(
        self, request: pb.GetMetricsRequest, context: Context
    ) -> pb.GetMetricsResponse:
        rule = read_rule(request.scaled_object_ref, "scaled_object_ref.scaler_metadata")
        counts = await self._statistics.read(rule.queue)
        return write_value(rule, scale_value(rule, counts))

    async def _stream(self, request: pb.ScaledObjectRef, context: Context) -> None:
        rule = read_rule(request)
        with self._statistics.watch(rule.queue) as watch:
            counts = await self._statistics.read(rule.queue)
            told, told_at = None, 0.0
            while True:
                active, now = is_active(rule, counts), time.monotonic()
                if active != told or now - told_at >= self._repeat_seconds:
                    await context.write(pb.IsActiveResponse(result=active))
                    told, told_at = active, now
                try:
                    counts = await watch.next()
                except ServerDraining:
                    # OK is the only end after which KEDA is back soon.
                    return
