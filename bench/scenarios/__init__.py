"""The kinds of measurement: creating, draining, the life cycle, the latency."""
