"""Many open streams on one replica, and the lag of its event loop. `python -m bench.streams`."""
