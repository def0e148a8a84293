package main

import "time"

// Why they are these: ../README.md.
const (
	poolSize    = 16
	insertBatch = 1000
	// fillCalls are under way while a backlog is made; that is not measured.
	fillCalls         = 4
	drainWorkers      = 10_000 // the most that River allows
	deepWorkers       = 2_000  // smaller bursts, as only a part of the backlog is drained
	fetchCooldown     = 2 * time.Millisecond
	fetchPollInterval = 10 * time.Millisecond
)
