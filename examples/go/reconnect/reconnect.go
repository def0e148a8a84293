// Package reconnect has what callers and workers need to be back soon after an outage.
package reconnect

import (
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	firstPause = 200 * time.Millisecond
	maxPause   = 2 * time.Second
)

// Dial returns a connection of its own, as every long stream should have one. By default gRPC's
// pauses between two tries grow to two minutes, longer than a lease.
func Dial(target string) (*grpc.ClientConn, error) {
	options, err := security()
	if err != nil {
		return nil, err
	}
	return grpc.NewClient(target, append(options,
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxPause},
			MinConnectTimeout: 5 * time.Second,
		}))...)
}

// Pauses are the pauses between tries: longer and longer, 2 s at most, and spread, so that those
// who lost one server do not all come back in the same moment. The zero value begins anew.
type Pauses struct{ last time.Duration }

// Next returns the pause before the next try after err, no shorter than the server asks for.
func (p *Pauses) Next(err error) time.Duration {
	p.last = min(max(p.last*2, firstPause), maxPause)
	return max(time.Duration(float64(p.last)*(0.8+0.4*rand.Float64())), retryDelayOf(err))
}

// AsSent returns the error of a call as jobsvc sent it: the code in the details counts, since a
// proxy may change the other one. Where they differ, grpc-go returns INTERNAL without details.
func AsSent(err error, trailer metadata.MD) error {
	for _, details := range trailer.Get("grpc-status-details-bin") {
		var sent spb.Status
		if proto.Unmarshal([]byte(details), &sent) == nil && reasonOf(status.ErrorProto(&sent)) != "" {
			return status.ErrorProto(&sent)
		}
	}
	return err
}

// IsFinal reports whether the same call would fail in the same way again.
func IsFinal(err error) bool {
	code, reason := status.Code(err), reasonOf(err)
	switch code {
	case codes.Unimplemented, codes.PermissionDenied:
		return true
	case codes.Unauthenticated:
		return !hasNextToken() // A stream has outlived its token.
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.Aborted:
		return reason != ""
	case codes.AlreadyExists:
		return reason != "" && reason != "WORKER_ID_IN_USE" // Until the stream before has ended.
	}
	return false
}

// reasonOf returns the reason that jobsvc gave. A status without one is not from jobsvc: it is a
// broken connection, whatever a proxy on the way calls it.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == "jobsvc" {
			return info.Reason
		}
	}
	return ""
}

func retryDelayOf(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.RetryDelay.AsDuration()
		}
	}
	return 0
}
