package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"
)

// produce calls create until the jobs are made, so many calls at a time.
func produce(jobs, calls, perCall int, create func(count int) error) (time.Duration, error) {
	var group errgroup.Group
	var taken atomic.Int64
	began := time.Now()
	for range calls {
		group.Go(func() error {
			for {
				before := int(taken.Add(int64(perCall))) - perCall
				if before >= jobs {
					return nil
				}
				if err := create(min(perCall, jobs-before)); err != nil {
					return err
				}
			}
		})
	}
	err := group.Wait()
	return time.Since(began), err
}

func stored(ctx context.Context, pool *pgxpool.Pool, where string, expected int) error {
	var count int
	query := "SELECT count(*) FROM river_job WHERE " + where
	if err := pool.QueryRow(ctx, query).Scan(&count); err != nil {
		return err
	}
	if count != expected {
		return fmt.Errorf("%d jobs with %s, not %d", count, where, expected)
	}
	return nil
}

func createSingly(calls int) scenario {
	return func(ctx context.Context, pool *pgxpool.Pool, jobs int) error {
		client, err := newClient(pool, nil, 0)
		if err != nil {
			return err
		}
		return measureCreate(ctx, pool, jobs, calls, 1, func(int) error {
			_, err := client.Insert(ctx, payload, nil)
			return err
		})
	}
}

func batchCreate(calls int) scenario {
	return func(ctx context.Context, pool *pgxpool.Pool, jobs int) error {
		insert, err := bulk(ctx, pool)
		if err != nil {
			return err
		}
		return measureCreate(ctx, pool, jobs, calls, insertBatch, insert)
	}
}

func measureCreate(
	ctx context.Context, pool *pgxpool.Pool, jobs, calls, perCall int, create func(int) error,
) error {
	waitForStart()
	elapsed, err := produce(jobs, calls, perCall, create)
	if err != nil {
		return err
	}
	if err := stored(ctx, pool, "state = 'available'", jobs); err != nil {
		return err
	}
	return sendResult(throughput{jobs, elapsed.Seconds(), jobs})
}

func fill(ctx context.Context, pool *pgxpool.Pool, jobs int) error {
	insert, err := bulk(ctx, pool)
	if err != nil {
		return err
	}
	if _, err := produce(jobs, fillCalls, insertBatch, insert); err != nil {
		return err
	}
	return stored(ctx, pool, "state = 'available'", jobs)
}

// bulk inserts with COPY.
func bulk(ctx context.Context, pool *pgxpool.Pool) (func(int) error, error) {
	client, err := newClient(pool, nil, 0)
	if err != nil {
		return nil, err
	}
	return func(count int) error {
		params := make([]river.InsertManyParams, count)
		for i := range params {
			params[i].Args = payload
		}
		_, err := client.InsertManyFast(ctx, params)
		return err
	}, nil
}
