"""Cost against size: costs of calls while tables, queues or the past grow. `make bench-flat`."""
