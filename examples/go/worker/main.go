// Command worker takes jobs from the queue `greetings`.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func main() {
	target := flag.String("target", cmp.Or(os.Getenv("JOBSVC_TARGET"), "127.0.0.1:50051"), "HOST:PORT of jobsvc")
	window := flag.Int("window", 16, "most jobs at a time")
	grace := flag.Duration("grace", 20*time.Second, "how long jobs may still run after SIGTERM")
	conformance := flag.Bool("conformance", false, "be tried by `jobsvc conformance worker`")
	flag.Parse()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	queue, process := "greetings", Processor(greet)
	if *conformance {
		queue, process = "conformance", conform
	}
	if err := newWorker(*target, queue, process, *window).run(ctx, *grace); err != nil {
		slog.Error("the worker ended", "error", err)
		os.Exit(1)
	}
}

// greet is the processor: what becomes of one job. It may run more than once for a job, so what it
// does outside must be idempotent. A status as error decides by its code whether the job is tried
// again; any other error is.
func greet(ctx context.Context, job *Job) (any, error) {
	var input struct {
		Name    string
		Seconds float64
	}
	if err := json.Unmarshal(job.Input, &input); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "input: %v", err)
	}
	job.Progress(50, "thinking of a greeting")
	select {
	case <-time.After(time.Duration(input.Seconds * float64(time.Second))):
		return map[string]any{"greeting": "Hello, " + input.Name, "attempt": job.Attempt}, nil
	case <-ctx.Done(): // Cancelled, lost, out of time, or the worker must go.
		return nil, ctx.Err()
	}
}
