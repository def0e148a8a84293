package main

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// noopArgs are 200 bytes of JSON text.
type noopArgs struct {
	N string `json:"n"`
}

func (noopArgs) Kind() string { return "noop" }

var payload = noopArgs{N: strings.Repeat("x", 191)}

// counted does nothing, counts that it did, and says when it did so for a number of jobs.
type counted struct {
	river.WorkerDefaults[noopArgs]
	count atomic.Int64
	marks map[int64]chan time.Time
}

func newCounted(marks ...int) *counted {
	w := &counted{marks: map[int64]chan time.Time{}}
	for _, n := range marks {
		w.marks[int64(n)] = make(chan time.Time, 1)
	}
	return w
}

func (w *counted) Work(context.Context, *river.Job[noopArgs]) error {
	if mark := w.marks[w.count.Add(1)]; mark != nil {
		mark <- time.Now()
	}
	return nil
}

func (w *counted) at(n int) time.Time { return <-w.marks[int64(n)] }

// newClient makes a client that works jobs when it has a worker, and only creates them without one.
func newClient(
	pool *pgxpool.Pool, worker river.Worker[noopArgs], maxWorkers int,
) (*river.Client[pgx.Tx], error) {
	config := &river.Config{}
	if worker != nil {
		config.Workers = river.NewWorkers()
		river.AddWorker(config.Workers, worker)
		config.Queues = map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: maxWorkers},
		}
		config.FetchCooldown = fetchCooldown
		config.FetchPollInterval = fetchPollInterval
	}
	return river.NewClient(riverpgxv5.New(pool), config)
}
