"""Cache of queues, a second old at most, and of their compiled schemas."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

from jobsvc.domain.errors import QueueNotFound
from jobsvc.domain.queue import Queue
from jobsvc.domain.schema import RefusedSchema, Schema, compile_recorded
from jobsvc.store.queues import QueueStore

log = logging.getLogger(__name__)

_FRESH_SECONDS = 1.0
#: Compiled schemas kept; beyond, the least recently used one goes.
_MAX_SCHEMAS = 500


class Catalog:
    """Queues and schemas, read through a cache."""

    def __init__(self, queues: QueueStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._queues = queues
        self._clock = clock
        self._known: dict[str, tuple[float, Queue]] = {}
        self._schemas: OrderedDict[int, Schema | RefusedSchema] = OrderedDict()
        #: Held to compile: one thread at a time leaves time for the event loop.
        self._compiling = asyncio.Lock()

    async def queue(self, name: str) -> Queue:
        """Returns the queue of this name.

        Raises:
            QueueNotFound: there is none.
        """
        known = self._known.get(name)
        if known is not None and self._clock() - known[0] < _FRESH_SECONDS:
            return known[1]
        now = self._clock()
        queue = (await self._queues.read([name])).get(name)
        if queue is None:
            self._known.pop(name, None)
            raise QueueNotFound(name)
        self._known[name] = (now, queue)
        return queue

    def forget(self, names: Iterable[str]) -> None:
        """Drops these queues from the cache: their next use reads them again."""
        for name in names:
            self._known.pop(name, None)

    async def schema(self, schema_id: int) -> Schema | RefusedSchema:
        """Returns the compiled schema of this id; schemas never change."""
        schema = self._schemas.get(schema_id)
        if schema is None:
            definition = await self._queues.read_schema(schema_id)
            async with self._compiling:
                schema = self._schemas.get(schema_id)
                if schema is None:
                    schema = await asyncio.to_thread(compile_recorded, definition)
                    if isinstance(schema, RefusedSchema):
                        log.error("schema %d is refused: %s", schema_id, schema.why)
                    self._schemas[schema_id] = schema
                    if len(self._schemas) > _MAX_SCHEMAS:
                        self._schemas.popitem(last=False)
        self._schemas.move_to_end(schema_id)
        return schema
