package main

import (
	"context"
	"time"

	"google.golang.org/grpc"

	pb "jobsvc.invalid/examples/go/gen/jobsvc/v1"
	"jobsvc.invalid/examples/go/reconnect"
)

// openTime is how long a server may take to answer `subscribe`.
const openTime = 5 * time.Second

// stream is one conversation, on a connection of its own.
type stream struct {
	call       grpc.BidiStreamingClient[pb.WorkRequest, pb.WorkResponse]
	subscribed *pb.Subscribed // nil until the server has answered
	reports    int            // frames that are not answered
	extensions int
}

// event is what a stream says: a frame, or its end if frame is nil.
type event struct {
	stream *stream
	frame  *pb.WorkResponse
	err    error
}

// openStream subscribes. All that comes of it arrives as events, its end as the last one.
func openStream(target string, subscribe *pb.Subscribe, events chan<- event) *stream {
	s := &stream{}
	go func() { events <- event{stream: s, err: s.converse(target, subscribe, events)} }()
	return s
}

func (s *stream) converse(target string, subscribe *pb.Subscribe, events chan<- event) error {
	conn, err := reconnect.Dial(target)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	silence := time.AfterFunc(openTime, cancel)
	if s.call, err = pb.NewWorkerServiceClient(conn).Work(ctx); err != nil {
		return err
	}
	s.send(&pb.WorkRequest{Frame: &pb.WorkRequest_Subscribe{Subscribe: subscribe}})
	patience := openTime
	for {
		frame, err := s.call.Recv()
		if err != nil {
			return reconnect.AsSent(err, s.call.Trailer())
		}
		if subscribed := frame.GetSubscribed(); subscribed != nil {
			patience = 3 * subscribed.HeartbeatInterval.AsDuration()
		}
		silence.Reset(patience)
		events <- event{stream: s, frame: frame}
	}
}

// send sends a frame. If that fails the stream is broken, and Recv says why.
func (s *stream) send(frame *pb.WorkRequest) { _ = s.call.Send(frame) }

func (s *stream) acknowledge(sequence int64) {
	s.send(&pb.WorkRequest{Frame: &pb.WorkRequest_Acknowledge{Acknowledge: &pb.Acknowledge{Sequence: sequence}}})
}

func (s *stream) extend(extensions []*pb.LeaseExtension) {
	s.extensions++
	request := &pb.ExtendLeasesRequest{Extensions: extensions}
	s.send(&pb.WorkRequest{Frame: &pb.WorkRequest_ExtendLeases{ExtendLeases: request}})
}

func (s *stream) report(outcomes []*pb.JobOutcome) {
	s.reports++
	request := &pb.ReportOutcomesRequest{Outcomes: outcomes}
	s.send(&pb.WorkRequest{Frame: &pb.WorkRequest_ReportOutcomes{ReportOutcomes: request}})
}

func (s *stream) stopDispatch() {
	s.send(&pb.WorkRequest{Frame: &pb.WorkRequest_SetWindow{SetWindow: &pb.SetWindow{Window: 0}}})
}
