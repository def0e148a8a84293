// Command caller creates a job in the queue `greetings` and follows it to its end.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "jobsvc.invalid/examples/go/gen/jobsvc/v1"
	"jobsvc.invalid/examples/go/reconnect"
)

func main() {
	target := flag.String("target", cmp.Or(os.Getenv("JOBSVC_TARGET"), "127.0.0.1:50051"), "HOST:PORT of jobsvc")
	timeout := flag.Duration("timeout", 10*time.Minute, "how long to wait for the end of the job")
	flag.Parse()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	if err := run(ctx, *target, cmp.Or(flag.Arg(0), `{"name": "Ada", "seconds": 1}`)); err != nil {
		slog.Error("the job has not completed", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, target, input string) error {
	job, err := create(ctx, target, &pb.JobSpec{
		Queue: "greetings",
		Input: &pb.Payload{Encoding: &pb.Payload_JsonText{JsonText: input}},
	})
	if err != nil {
		return err
	}
	status, err := follow(ctx, target, job.Id)
	if err != nil {
		return err
	}
	if status.State != pb.JobState_JOB_STATE_COMPLETED {
		return fmt.Errorf("%v: %s", status.State, status.GetError().GetMessage())
	}
	slog.Info("completed", "job_id", job.Id, "output", status.Output.GetJsonText())
	return nil
}

// create creates one job, however often it has to ask: a call that was cut off may have created it,
// and the same request id returns that one.
func create(ctx context.Context, target string, spec *pb.JobSpec) (*pb.Job, error) {
	conn, err := reconnect.Dial(target)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	jobs := pb.NewJobServiceClient(conn)
	request := &pb.CreateJobRequest{Spec: spec, RequestId: uuid.NewString()}
	for pauses := (reconnect.Pauses{}); ; {
		call, cancel := context.WithTimeout(ctx, 5*time.Second)
		var trailer metadata.MD
		response, err := jobs.CreateJob(call, request, grpc.Trailer(&trailer))
		cancel()
		if err == nil {
			slog.Info("created", "job_id", response.Job.Id, "request_id", request.RequestId)
			return response.Job, nil
		}
		if err := again(ctx, reconnect.AsSent(err, trailer), &pauses); err != nil {
			return nil, err
		}
	}
}

// follow returns the status in which a job ends, over as many streams as it takes.
func follow(ctx context.Context, target, jobID string) (*pb.JobStatus, error) {
	seen := int64(0)
	for pauses := (reconnect.Pauses{}); ; {
		status, err := followOnce(ctx, target, jobID, func(status *pb.JobStatus) {
			pauses = reconnect.Pauses{}
			// Each stream begins with the status as it is. A lower version is true, too: the database
			// went back, by a failover or a restore; then the end of the job may have any.
			if status.Version != seen || status.EndTime != nil {
				seen = status.Version
				slog.Info("status", "job_id", jobID, "version", seen, "state", status.State.String(),
					"percent", status.Progress.GetPercent(), "message", status.Progress.GetMessage())
			}
		})
		if err == nil {
			return status, nil
		}
		if err := again(ctx, err, &pauses); err != nil {
			return nil, err
		}
	}
}

func followOnce(ctx context.Context, target, jobID string, tell func(*pb.JobStatus)) (*pb.JobStatus, error) {
	conn, err := reconnect.Dial(target)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The server sends a heartbeat every 15 s; after three silent ones the stream is given up.
	const patience = 45 * time.Second
	silence := time.AfterFunc(patience, cancel)
	defer silence.Stop()
	stream, err := pb.NewJobServiceClient(conn).StreamJobStatus(ctx, &pb.StreamJobStatusRequest{
		JobIds:          []string{jobID},
		PayloadEncoding: pb.PayloadEncoding_PAYLOAD_ENCODING_JSON_TEXT,
	})
	if err != nil {
		return nil, err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return nil, reconnect.AsSent(err, stream.Trailer())
		}
		silence.Reset(patience)
		if update := response.GetUpdate(); update != nil {
			tell(update.Status)
			if update.Status.EndTime != nil { // Set exactly when the job has ended.
				return update.Status, nil
			}
		}
	}
}

// again waits before another try, or returns why there is none.
func again(ctx context.Context, err error, pauses *reconnect.Pauses) error {
	if reconnect.IsFinal(err) {
		return err
	}
	slog.Warn("trying again", "error", err)
	select {
	case <-time.After(pauses.Next(err)):
		return nil
	case <-ctx.Done():
		return err
	}
}
