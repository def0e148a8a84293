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
#: Compiled schemas kept, and characters of their definitions; beyond, the least recently used ones
#: go.
_MAX_SCHEMAS = 500
_MAX_CHARACTERS = 8 << 20


class Catalog:
    """Queues and schemas, read through a cache."""

    def __init__(self, queues: QueueStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._queues = queues
        self._clock = clock
        self._known: dict[str, tuple[float, Queue]] = {}
        #: Compiled schemas by id, each with the length of its definition.
        self._schemas: OrderedDict[int, tuple[int, Schema | RefusedSchema]] = OrderedDict()
        self._characters = 0
        #: Held to compile: one thread at a time leaves time for the event loop.
        self._compiling = asyncio.Lock()

    async def queue(self, name: str) -> Queue:
        """Returns the queue of this name, without the text of its schemas.

        Raises:
            QueueNotFound: there is none.
        """
        known = self._known.get(name)
        if known is not None and self._clock() - known[0] < _FRESH_SECONDS:
            return known[1]
        now = self._clock()
        queue = (await self._queues.read([name], with_schemas=False)).get(name)
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
        kept = self._schemas.get(schema_id)
        if kept is not None:
            self._schemas.move_to_end(schema_id)
            return kept[1]
        definition = await self._queues.read_schema(schema_id)
        async with self._compiling:
            if (kept := self._schemas.get(schema_id)) is not None:
                return kept[1]
            schema = await asyncio.to_thread(compile_recorded, definition)
            if isinstance(schema, RefusedSchema):
                log.error("schema %d is refused: %s", schema_id, schema.why)
            self._keep(schema_id, len(definition), schema)
            return schema

    def _keep(self, schema_id: int, characters: int, schema: Schema | RefusedSchema) -> None:
        self._schemas[schema_id] = characters, schema
        self._characters += characters
        while len(self._schemas) > _MAX_SCHEMAS or self._characters > _MAX_CHARACTERS:
            _, (dropped, _) = self._schemas.popitem(last=False)
            self._characters -= dropped
