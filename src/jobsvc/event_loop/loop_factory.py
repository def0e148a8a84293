"""The event loop of a worker: uvloop where it exists, which is a fifth cheaper for short jobs."""

try:
    from uvloop import new_event_loop
except ImportError:  # There is none for Windows.
    from asyncio import new_event_loop  # type: ignore[assignment]  # any loop will do

__all__ = ["new_event_loop"]
