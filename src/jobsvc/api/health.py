"""gRPC's health protocol: who should send calls here, and who should be left alone."""

from collections.abc import Mapping, Sequence

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

from jobsvc.store.trouble_log import TroubleLog

#: SERVING as long as the process answers at all: to restart it brings no database back.
LIVENESS = "jobsvc.liveness"
#: NOT_SERVING while the database fails or refuses anything, which the log names.
DATABASE = "jobsvc.database"


def serving(
    services: Sequence[str], is_leaving: bool, is_away: bool, has_trouble: bool
) -> Mapping[str, bool]:
    """Returns which names are SERVING; the empty one is the whole server. Pure."""
    is_ready = not is_leaving and not is_away
    return {**dict.fromkeys(("", *services), is_ready), LIVENESS: True, DATABASE: not has_trouble}


class Health:
    """Says of each service, and of the server as a whole, whether it is worth calling."""

    def __init__(self, services: Sequence[str], troubles: TroubleLog | None) -> None:
        """`troubles` None means that there is no database yet."""
        self.servicer = health_aio.HealthServicer()
        self._services = services
        self._troubles = troubles
        self._is_leaving = False
        self._told: dict[str, bool] = {}

    async def run(self) -> None:
        """Follows the state of the database until cancelled."""
        while self._troubles is not None:
            await self._troubles.until_changed()
            await self.tell()

    async def leave(self) -> None:
        """Says that the server is about to exit."""
        self._is_leaving = True
        await self.tell()

    async def tell(self) -> None:
        """Says how it is now."""
        troubles = self._troubles
        is_away = troubles is None or troubles.is_away
        has_trouble = troubles is None or bool(troubles)
        now = serving(self._services, self._is_leaving, is_away, has_trouble)
        for name, is_serving in now.items():
            if self._told.get(name) is not is_serving:
                self._told[name] = is_serving
                status = health_pb2.HealthCheckResponse
                await self.servicer.set(name, status.SERVING if is_serving else status.NOT_SERVING)
