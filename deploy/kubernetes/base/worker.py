"""An example of a worker: one processor, of the queue `greetings`."""

import asyncio
from dataclasses import dataclass

from jobsvc.worker import Context, processor


@dataclass
class Person:
    """The input."""

    name: str
    seconds: float = 1.0


@processor("greetings")
async def greet(person: Person, context: Context) -> dict[str, str]:
    """Takes its time, so that there is something to scale."""
    context.progress(50, "thinking")
    await asyncio.sleep(person.seconds)
    return {"greeting": f"Hello, {person.name}!"}
