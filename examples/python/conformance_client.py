"""A client that `jobsvc conformance client` can try: creates a job and follows it to its end.

jobsvc conformance client python examples/python/conformance_client.py
"""

import asyncio
import json
import os
import sys
import uuid

from jobsvc.client import AsyncClient, CallFailed, CreatedJob


async def create(client: AsyncClient) -> CreatedJob:
    """Creates one job, however often it has to ask: the request id stays the same."""
    request_id = str(uuid.uuid4())
    while True:
        try:
            return await client.create("conformance", {"number": 1}, request_id=request_id)
        except CallFailed as failure:
            if not failure.transient:
                raise
            await asyncio.sleep(failure.retry_delay_seconds or 0.5)


async def main() -> int:
    """Prints each status as a line of JSON; returns the exit code."""
    state = ""
    async with AsyncClient(os.environ["JOBSVC_TARGET"]) as client:
        job = await create(client)
        async for update in client.follow([job.id], heartbeat_seconds=5):
            status = update.status
            state = status.state
            line = {"version": status.version, "state": state}
            if status.succeeded:
                line["output"] = json.loads(status.output_json or "{}")
            print(json.dumps(line), flush=True)
    return 0 if state == "COMPLETED" else 1


sys.exit(asyncio.run(main()))
