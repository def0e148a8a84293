package main

import "time"

// ../README.md has the reasons for these values.
const (
	poolSize    = 16
	insertBatch = 1000
	// fillCalls are under way while a backlog is made; that is not measured.
	fillCalls         = 4
	drainWorkers      = 10_000 // the maximum that River allows
	deepWorkers       = 2_000  // smaller bursts, as only a part of the backlog is drained
	fetchCooldown     = 2 * time.Millisecond
	fetchPollInterval = 10 * time.Millisecond
)
