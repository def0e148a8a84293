"""Programs of other job queues, measured beside jobsvc: `make bench-peers`."""
