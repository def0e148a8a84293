"""How long a lease runs before its worker must extend it."""

from jobsvc.queues.catalog import Catalog


class LeaseDuration:
    """The duration as the worker asks, as the queue says, or the server's default."""

    def __init__(self, catalog: Catalog, default_seconds: float) -> None:
        self._catalog = catalog
        self._default_seconds = default_seconds

    async def seconds(self, queue: str, asked: float | None) -> float:
        """The duration of a lease of a queue; `asked` None leaves it to the queue.

        Raises:
            QueueNotFound: there is no such queue.
        """
        policy = (await self._catalog.queue(queue)).policy
        return asked or policy.lease_seconds or self._default_seconds
