"""Many open streams on one replica, and what delays its event loop. `python -m bench.streams`."""
