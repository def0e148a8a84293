package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	undone = "SELECT EXISTS (SELECT FROM river_job WHERE finalized_at IS NULL)"
	once   = "state = 'completed' AND attempt = 1"
)

// drain measures from the first job handed to the worker to the last one recorded as completed.
func drain(ctx context.Context, pool *pgxpool.Pool, jobs int) error {
	worker := newCounted(1, jobs)
	client, err := newClient(pool, worker, drainWorkers)
	if err != nil {
		return err
	}
	waitForStart()
	if err := client.Start(ctx); err != nil {
		return err
	}
	began := worker.at(1)
	worker.at(jobs)
	if err := until(ctx, pool); err != nil {
		return err
	}
	elapsed := time.Since(began)
	if err := stored(ctx, pool, once, jobs); err != nil {
		return err
	}
	if count := worker.count.Load(); count != int64(jobs) {
		return fmt.Errorf("%d jobs worked, not %d", count, jobs)
	}
	if err := sendResult(throughput{jobs, elapsed.Seconds(), jobs}); err != nil {
		return err
	}
	return client.Stop(ctx)
}

func until(ctx context.Context, pool *pgxpool.Pool) error {
	for {
		var some bool
		if err := pool.QueryRow(ctx, undone).Scan(&some); err != nil || !some {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// drainDeep measures the rate in the middle of a large backlog. The clock starts when as many
// jobs have been handed out as can be under way, and be recorded, at once: from there on others
// can only follow at the rate at which those are done.
func drainDeep(ctx context.Context, pool *pgxpool.Pool, jobs int) error {
	worker := newCounted(deepWorkers, deepWorkers+jobs)
	client, err := newClient(pool, worker, deepWorkers)
	if err != nil {
		return err
	}
	waitForStart()
	if err := client.Start(ctx); err != nil {
		return err
	}
	began := worker.at(deepWorkers)
	elapsed := worker.at(deepWorkers + jobs).Sub(began)
	if err := client.Stop(ctx); err != nil {
		return err
	}
	inAll := int(worker.count.Load())
	if err := stored(ctx, pool, once, inAll); err != nil {
		return err
	}
	return sendResult(throughput{jobs, elapsed.Seconds(), inAll})
}
