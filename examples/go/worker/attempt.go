package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "jobsvc.invalid/examples/go/gen/jobsvc/v1"
)

// Why the context of a processor may end before its time.
var (
	errCancelled = errors.New("the job is to be cancelled")
	errLost      = errors.New("the lease is lost: somebody else may have the job")
	errLeaving   = errors.New("the worker must go")
)

// Job is an attempt as its processor sees it.
type Job struct {
	ID       string
	Attempt  int32
	Input    json.RawMessage
	progress atomic.Pointer[pb.JobProgress]
}

// Progress says how far the attempt is; it is sent with the next extension, or the outcome.
func (j *Job) Progress(percent int32, message string) {
	j.progress.Store(&pb.JobProgress{Percent: percent, Message: message})
}

// Processor does the work of one attempt and returns its output, which must be a JSON object.
type Processor func(ctx context.Context, job *Job) (any, error)

// attempt is a job from its dispatch until its outcome is confirmed.
type attempt struct {
	Job
	leaseID string
	stop    context.CancelCauseFunc
	outcome *pb.JobOutcome // nil while it runs
	sent    bool           // whether the outcome is on its way on the current stream
}

// result is what has become of an attempt.
type result struct {
	attempt *attempt
	outcome *pb.JobOutcome
}

// run does the work, and returns its outcome: nil if the lease is lost, since nobody would take it.
func (a *attempt) run(ctx context.Context, process Processor) *pb.JobOutcome {
	slog.Info("job begins", "job_id", a.ID, "attempt", a.Attempt)
	output, err := a.call(ctx, process)
	outcome := &pb.JobOutcome{LeaseId: a.leaseID, Progress: a.progress.Load()}
	switch {
	case err == nil:
		payload := &pb.Payload{Encoding: &pb.Payload_JsonText{JsonText: string(output)}}
		outcome.Result = &pb.JobOutcome_Success{Success: &pb.JobSuccess{Output: payload}}
	case errors.Is(err, errLost):
		return nil
	case errors.Is(err, errCancelled):
		outcome.Result = &pb.JobOutcome_Cancelled{Cancelled: &pb.JobCancelled{}}
	case errors.Is(err, errLeaving):
		outcome.Result = &pb.JobOutcome_Release{Release: &pb.JobRelease{Reason: errLeaving.Error()}}
	case errors.Is(err, context.DeadlineExceeded):
		outcome.Result = failure(codes.DeadlineExceeded, "the attempt took too long")
	default:
		outcome.Result = failure(status.Code(err), status.Convert(err).Message())
	}
	return outcome
}

func (a *attempt) call(ctx context.Context, process Processor) (output []byte, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("panic: %v", problem)
		}
	}()
	result, err := process(ctx, &a.Job)
	if err != nil {
		if ctx.Err() != nil { // Whatever it makes of that.
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return json.Marshal(result)
}

func failure(c codes.Code, message string) *pb.JobOutcome_Failure {
	return &pb.JobOutcome_Failure{Failure: &pb.JobFailure{
		Error: &pb.JobError{Code: code.Code(c), Message: message},
	}}
}
