"""The points about clients."""

from jobsvc.conformance.call_stage import CallStage
from jobsvc.conformance.client_points import creation, following, statuses
from jobsvc.conformance.point import Point

#: In the order in which they are told.
CLIENT_POINTS: tuple[Point[CallStage], ...] = (
    *creation.POINTS,
    *following.POINTS,
    *statuses.POINTS,
)
