"""A running replica as its process knows it: whether it is worth calling, and how it drains."""

import asyncio
import logging

from jobsvc.api.admission import Admission
from jobsvc.api.authentication import Authentication
from jobsvc.api.server import GrpcServer
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.domain.outages import Outages
from jobsvc.jobs.followers import Hub
from jobsvc.jobs.watch_feed import WatchFeed
from jobsvc.queues.statistics import QueueStatistics
from jobsvc.settings import Settings
from jobsvc.store.trouble_log import TroubleLog

log = logging.getLogger(__name__)


class Replica:
    """One running replica."""

    def __init__(
        self,
        port: int,
        server: GrpcServer,
        admission: Admission,
        hub: Hub,
        feed: WatchFeed,
        statistics: QueueStatistics,
        dispatcher: Dispatcher,
        redelivery: Redelivery,
        outages: Outages,
        troubles: TroubleLog,
        settings: Settings,
        authentication: Authentication | None,
    ) -> None:
        self.port = port
        self._server = server
        self._admission = admission
        self._hub = hub
        self._feed = feed
        self._statistics = statistics
        self._dispatcher = dispatcher
        self._redelivery = redelivery
        self._outages = outages
        self._troubles = troubles
        self._settings = settings
        self._authentication = authentication

    def reload(self) -> None:
        """Reads the files again that say who may do what."""
        if self._authentication is not None:
            self._authentication.reload()

    @property
    def why_not_ready(self) -> str:
        """Why it is not worth calling now; empty while it is. May be read by any thread."""
        if self._admission.draining:
            return "draining"
        return "the database does not answer" if self._troubles.is_away else ""

    async def drain(self) -> None:
        """Refuses new calls, ends waits, and gives workers the time to leave by themselves."""
        self._admission.drain()
        self._outages.leave()
        await self._server.leave()
        self._hub.drain()
        self._feed.drain()
        self._statistics.drain()
        self._dispatcher.drain()
        seconds = self._settings.drain_seconds
        log.info(
            "draining: %d workers hold %d jobs and have %g s", *self._dispatcher.held(), seconds
        )
        try:
            async with asyncio.timeout(seconds):
                await self._dispatcher.until_idle()
        except TimeoutError:
            log.warning(
                "%d workers still hold %d jobs after %g s", *self._dispatcher.held(), seconds
            )
        self._dispatcher.dismiss()
        await self._server.finish()
        await self._redelivery.flush()
