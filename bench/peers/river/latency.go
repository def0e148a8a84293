package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

const (
	warmUp = 30
	// notify tells a caller that its job is done when that is committed.
	notify = `
CREATE FUNCTION bench_finished() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('bench_finished', NEW.id::text); RETURN NULL; END $$;
CREATE TRIGGER bench_finished AFTER UPDATE OF state ON river_job
FOR EACH ROW WHEN (NEW.state = 'completed') EXECUTE FUNCTION bench_finished()`
)

// completing records its outcome itself. River's own completer gathers outcomes for up to 250 ms
// when there are few.
type completing struct {
	river.WorkerDefaults[noopArgs]
	pool *pgxpool.Pool
}

func (w *completing) Work(ctx context.Context, job *river.Job[noopArgs]) error {
	return pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
		return err
	})
}

func latency(ctx context.Context, pool *pgxpool.Pool, jobs int) error {
	client, err := newClient(pool, &completing{pool: pool}, 10)
	if err != nil {
		return err
	}
	connection, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	listener := connection.Hijack()
	if _, err := listener.Exec(ctx, notify); err != nil {
		return err
	}
	if _, err := listener.Exec(ctx, "LISTEN bench_finished"); err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	waitForStart()
	milliseconds := make([]float64, 0, jobs)
	for n := range warmUp + jobs {
		began := time.Now()
		result, err := client.Insert(ctx, payload, nil)
		if err != nil {
			return err
		}
		// One job at a time: the next notification is about this one.
		notification, err := listener.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if notification.Payload != fmt.Sprint(result.Job.ID) {
			return fmt.Errorf("notified of job %s, not %d", notification.Payload, result.Job.ID)
		}
		if n >= warmUp {
			milliseconds = append(milliseconds, time.Since(began).Seconds()*1000)
		}
	}
	if err := sendResult(latencies{milliseconds, warmUp + jobs}); err != nil {
		return err
	}
	return client.Stop(ctx)
}
