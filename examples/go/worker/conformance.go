package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// conform is the processor that `jobsvc conformance worker` wants, in the queue `conformance`: it
// returns its input, and waits, cleans up and fails as that says.
func conform(ctx context.Context, job *Job) (any, error) {
	var input struct {
		SleepMS   int64 `json:"sleep_ms"`
		CleanupMS int64 `json:"cleanup_ms"`
		Fail      string
	}
	if err := json.Unmarshal(job.Input, &input); err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Duration(input.SleepMS) * time.Millisecond):
	case <-ctx.Done():
		time.Sleep(time.Duration(input.CleanupMS) * time.Millisecond)
		return nil, ctx.Err()
	}
	if input.Fail != "" {
		return nil, errors.New(input.Fail)
	}
	return job.Input, nil // As it came: numbers keep their digits.
}
