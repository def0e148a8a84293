"""Cost against size: what a call costs when tables, queues or the past grow. `make bench-flat`."""
