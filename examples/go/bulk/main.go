// Command bulk creates many jobs on one stream and follows each to its end: a fraction of the cost
// of a call for each. Over breaks of the stream, each request id makes exactly one job.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"

	pb "jobsvc.invalid/examples/go/gen/jobsvc/v1"
	"jobsvc.invalid/examples/go/reconnect"
)

// The server sends a heartbeat every 15 s; after three silent ones the stream is given up.
const patience = 45 * time.Second

// job is one to create. It has an id once that is confirmed; without one it is sent again on the
// next stream, under its request id.
type job struct {
	request *pb.CreateJobRequest
	id      string
}

// caller has the jobs that are not done, by their tags, and the tags of those that have an id. One
// goroutine, no locks.
type caller struct {
	jobs   map[int64]*job
	tags   map[string]int64
	follow bool
}

func main() {
	target := flag.String("target", cmp.Or(os.Getenv("JOBSVC_TARGET"), "127.0.0.1:50051"), "HOST:PORT of jobsvc")
	queue := flag.String("queue", "greetings", "queue of the jobs")
	input := flag.String("input", `{"name": "Ada", "seconds": 0}`, "input of each job")
	count := flag.Int("jobs", 1000, "how many jobs")
	follow := flag.Bool("follow", true, "wait for the ends of the jobs")
	flag.Parse()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := caller{jobs: map[int64]*job{}, tags: map[string]int64{}, follow: *follow}
	spec := &pb.JobSpec{Queue: *queue, Input: &pb.Payload{Encoding: &pb.Payload_JsonText{JsonText: *input}}}
	for tag := range int64(*count) {
		c.jobs[tag] = &job{request: &pb.CreateJobRequest{Spec: spec, RequestId: uuid.NewString()}}
	}
	if err := c.run(ctx, *target); err != nil {
		slog.Error("not all jobs are done", "left", len(c.jobs), "error", err)
		os.Exit(1)
	}
	slog.Info("done")
}

// run opens streams until all jobs are done.
func (c *caller) run(ctx context.Context, target string) error {
	for pauses := (reconnect.Pauses{}); len(c.jobs) > 0; {
		before := len(c.jobs)
		err := c.converse(ctx, target)
		if err == nil {
			continue
		}
		if ctx.Err() != nil || reconnect.IsFinal(err) {
			return err
		}
		if len(c.jobs) < before {
			pauses = reconnect.Pauses{}
		}
		slog.Warn("another stream", "error", err)
		select {
		case <-time.After(pauses.Next(err)):
		case <-ctx.Done():
		}
	}
	return nil
}

// converse uses one stream until the jobs on it are done, or it breaks.
func (c *caller) converse(ctx context.Context, target string) error {
	conn, err := reconnect.Dial(target)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(patience, cancel)
	defer silence.Stop()
	stream, err := pb.NewJobServiceClient(conn).Submit(ctx)
	if err != nil {
		return err
	}
	// The server speaks first.
	first, err := stream.Recv()
	if err != nil {
		return reconnect.AsSent(err, stream.Trailer())
	}
	requests, count := c.requests(first.GetLimits())
	left := len(c.jobs) - count
	// Sending blocks while the server reads no further, so it must not keep this one from reading.
	// Its error is not told: that of Recv says why the stream has ended.
	go func() {
		for _, request := range requests {
			if stream.Send(request) != nil {
				return
			}
		}
	}()
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the server has ended the stream")
		}
		if err != nil {
			return reconnect.AsSent(err, stream.Trailer())
		}
		silence.Reset(patience)
		if err := c.accept(response); err != nil {
			return err
		}
		if len(c.jobs) == left {
			return nil
		}
	}
}

// requests returns what is to be said on a new stream: which jobs to follow that are confirmed, and
// which to create, and how many these are.
func (c *caller) requests(limits *pb.SubmitLimits) ([]*pb.SubmitRequest, int) {
	var confirmed []string
	var jobs []*pb.SubmitJob
	for tag, job := range c.jobs {
		if len(confirmed)+len(jobs) == int(limits.MaxFollowedJobs) {
			break // The others are for the next stream.
		}
		if job.id != "" {
			confirmed = append(confirmed, job.id)
		} else {
			jobs = append(jobs, &pb.SubmitJob{Tag: tag, Request: job.request, Follow: c.follow})
		}
	}
	requests := []*pb.SubmitRequest{{Options: &pb.SubmitOptions{
		PayloadEncoding: pb.PayloadEncoding_PAYLOAD_ENCODING_JSON_TEXT,
	}}}
	// A request may have 4 MiB, too: jobs with large inputs have to be fewer.
	for ids := range slices.Chunk(confirmed, int(limits.MaxRequestJobs)) {
		requests = append(requests, &pb.SubmitRequest{FollowJobIds: ids})
	}
	for some := range slices.Chunk(jobs, int(limits.MaxRequestJobs)) {
		requests = append(requests, &pb.SubmitRequest{Jobs: some})
	}
	return requests, len(confirmed) + len(jobs)
}

// accept notes what became of jobs; an error asks for another stream.
func (c *caller) accept(response *pb.SubmitResponse) error {
	for _, result := range response.Results {
		job := c.jobs[result.Tag]
		if err := status.ErrorProto(result.GetError()); err != nil {
			if !reconnect.IsFinal(err) {
				return err // There may be a job: it is sent again.
			}
			slog.Error("refused", "request_id", job.request.RequestId, "error", err)
			delete(c.jobs, result.Tag)
			continue
		}
		job.id = result.GetCreated().Job.Id
		c.tags[job.id] = result.Tag
		slog.Info("created", "job_id", job.id, "request_id", job.request.RequestId)
		if !c.follow {
			delete(c.jobs, result.Tag)
		}
	}
	for _, update := range response.Updates {
		if update.Status.EndTime != nil { // Set exactly when the job has ended.
			slog.Info("ended", "job_id", update.JobId, "state", update.Status.State.String())
			c.drop(update.JobId)
		}
	}
	for _, failure := range response.FollowFailures {
		err := status.ErrorProto(failure.Error)
		if !reconnect.IsFinal(err) {
			return fmt.Errorf("job %s is not followed: %w", failure.JobId, err)
		}
		slog.Error("not followed", "job_id", failure.JobId, "error", err)
		c.drop(failure.JobId)
	}
	return nil
}

func (c *caller) drop(jobID string) {
	delete(c.jobs, c.tags[jobID])
	delete(c.tags, jobID)
}
