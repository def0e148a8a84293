// River, measured: `river SCENARIO DSN JOBS`. Why the settings are these: ../README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

type scenario func(context.Context, *pgxpool.Pool, int) error

// scenarioOf knows scenarios by their names; the number at the end of create-32 and
// batch-create-4 says how many calls are under way at a time.
func scenarioOf(name string) (scenario, error) {
	switch name {
	case "prepare":
		return prepare, nil
	case "fill":
		return fill, nil
	case "drain":
		return drain, nil
	case "drain-1m":
		return drainDeep, nil
	case "latency":
		return latency, nil
	case "batch-create":
		return batchCreate(1), nil
	}
	var calls int
	if _, err := fmt.Sscanf(name, "batch-create-%d", &calls); err == nil {
		return batchCreate(calls), nil
	}
	if _, err := fmt.Sscanf(name, "create-%d", &calls); err == nil {
		return createSingly(calls), nil
	}
	return nil, fmt.Errorf("no scenario %q", name)
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) != 3 {
		return errors.New("usage: river SCENARIO DSN JOBS")
	}
	measure, err := scenarioOf(arguments[0])
	if err != nil {
		return err
	}
	jobs, err := strconv.Atoi(arguments[2])
	if err != nil {
		return err
	}
	pool, err := connect(ctx, arguments[1])
	if err != nil {
		return err
	}
	return measure(ctx, pool, jobs)
}

// connect returns a pool whose connections are all open.
func connect(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	connections := make([]*pgxpool.Conn, 0, poolSize)
	for range poolSize {
		connection, err := pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		connections = append(connections, connection)
	}
	for _, connection := range connections {
		connection.Release()
	}
	return pool, nil
}

func prepare(ctx context.Context, pool *pgxpool.Pool, _ int) error {
	migrator, err := rivermigrate.New[pgx.Tx](riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}
