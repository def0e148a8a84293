"""The points about workers."""

from jobsvc.conformance.point import Point
from jobsvc.conformance.work_stage import WorkStage
from jobsvc.conformance.worker_points import (
    delivery,
    leases,
    leaving,
    limits,
    opening,
    outcomes,
    reconnection,
)

#: In the order in which they are told.
WORKER_POINTS: tuple[Point[WorkStage], ...] = (
    *opening.POINTS,
    *delivery.POINTS,
    *limits.POINTS,
    *outcomes.POINTS,
    *leases.POINTS,
    *reconnection.POINTS,
    *leaving.POINTS,
)
