package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "jobsvc.invalid/examples/go/gen/jobsvc/v1"
	"jobsvc.invalid/examples/go/reconnect"
)

// confirmTime is how long a leaving worker waits for its last confirmations.
const confirmTime = 10 * time.Second

// worker holds jobs and keeps a stream. One goroutine, that of run, owns all of it; processors and
// streams are goroutines that talk to it by channels.
type worker struct {
	target   string
	process  Processor
	identity *pb.WorkerInfo
	queue    string
	window   int

	held    map[string]*attempt // by lease: what runs, and what has ended and is not confirmed
	events  chan event
	ended   chan result
	current *stream // the one to send on
	opening *stream // the one that takes its place once it is subscribed
	aside   []event // dispatches to current while another is opening, whose held leases lack them
	token   string
	pauses  reconnect.Pauses
	retry   *time.Timer // when to open a stream
	tick    *time.Ticker
	leaving bool
}

func newWorker(target, queue string, process Processor, window int) *worker {
	host, _ := os.Hostname()
	return &worker{
		target: target, queue: queue, process: process, window: window,
		// New at every start of the process, kept over reconnects.
		identity: &pb.WorkerInfo{WorkerId: host + "/" + uuid.NewString(), Sdk: "example-go"},
		held:     map[string]*attempt{},
		events:   make(chan event),
		ended:    make(chan result),
		retry:    time.NewTimer(0),
		tick:     time.NewTicker(10 * time.Second),
	}
}

// run works until ctx ends, gives running jobs the grace to end, and hands back the rest.
func (w *worker) run(ctx context.Context, grace time.Duration) error {
	leave, graceOver, giveUp := ctx.Done(), (<-chan time.Time)(nil), (<-chan time.Time)(nil)
	for {
		select {
		case e := <-w.events:
			if err := w.handle(e); err != nil {
				return err
			}
		case r := <-w.ended:
			if r.attempt.outcome = r.outcome; r.outcome == nil {
				delete(w.held, r.attempt.leaseID)
			}
		case <-w.retry.C:
			w.open()
		case <-w.tick.C:
			w.extend()
		case <-leave:
			slog.Info("leaving", "jobs", len(w.held))
			leave, w.leaving = nil, true
			graceOver, giveUp = time.After(grace), time.After(grace+confirmTime)
			if w.current != nil {
				w.current.stopDispatch()
			}
		case <-graceOver:
			for _, a := range w.held {
				a.stop(errLeaving)
			}
		case <-giveUp:
			return fmt.Errorf("%d outcomes could not be delivered: those jobs will run again", len(w.held))
		}
		w.report()
		if w.leaving && len(w.held) == 0 {
			if w.current == nil {
				return nil
			}
			_ = w.current.call.CloseSend() // The server answers with the end of the stream.
		}
	}
}

// open opens a stream, beside the current one if there is one. It lists all that is held, ended or
// not: what a stream does not list goes back to its queue.
func (w *worker) open() {
	if w.opening != nil {
		return
	}
	window := w.window
	if w.leaving {
		window = 0
	}
	w.opening = openStream(w.target, &pb.Subscribe{
		Worker:          w.identity,
		Queues:          []*pb.QueueSubscription{{Queue: w.queue}},
		Window:          int32(window),
		PayloadEncoding: pb.PayloadEncoding_PAYLOAD_ENCODING_JSON_TEXT,
		HeldLeaseIds:    slices.Collect(maps.Keys(w.held)),
		ResumeToken:     w.token,
	}, w.events)
}

func (w *worker) handle(e event) error {
	switch frame := e.frame.GetFrame().(type) {
	case *pb.WorkResponse_Subscribed:
		w.goOnWith(e.stream, frame.Subscribed)
	case *pb.WorkResponse_Dispatch:
		if w.opening != nil { // Not listed there, so it goes back if that one is subscribed.
			w.aside = append(w.aside, e)
			return nil
		}
		for _, lease := range frame.Dispatch.Leases {
			w.begin(lease)
		}
		e.stream.acknowledge(e.frame.Sequence)
	case *pb.WorkResponse_LeaseStatuses:
		e.stream.extensions = 0
		if len(frame.LeaseStatuses.Leases) == 0 { // No database there: another replica may be well.
			w.open()
		}
		w.look(frame.LeaseStatuses.Leases)
	case *pb.WorkResponse_OutcomeResults:
		e.stream.reports--
		w.settle(frame.OutcomeResults.Results)
	case *pb.WorkResponse_Drain:
		slog.Info("moving on", "reason", frame.Drain.Reason)
		w.open()
	case nil:
		if e.frame == nil {
			return w.endOf(e.stream, e.err)
		}
	}
	return nil // Heartbeats, and frames of a later version.
}

// goOnWith makes a stream the current one. What the one before did not confirm is sent again.
func (w *worker) goOnWith(s *stream, subscribed *pb.Subscribed) {
	slog.Info("subscribed", "worker_id", w.identity.WorkerId, "server_id", subscribed.ServerId, "held", len(w.held))
	if w.current != nil {
		_ = w.current.call.CloseSend()
	}
	w.current, w.opening, w.aside = s, nil, nil
	s.subscribed, w.token, w.pauses = subscribed, subscribed.ResumeToken, reconnect.Pauses{}
	w.tick.Reset(subscribed.ExtendInterval.AsDuration())
	w.look(subscribed.HeldLeases)
	for _, a := range w.held {
		a.sent = false
	}
	if w.leaving {
		s.stopDispatch()
	}
}

// endOf opens another stream in place of one that has ended, unless that could not help.
func (w *worker) endOf(s *stream, err error) error {
	aside := w.aside
	switch s {
	case w.opening:
		w.opening, w.aside = nil, nil
	case w.current:
		w.current = nil
		if w.opening != nil {
			return nil // It may be the reason: the next one replaces this one.
		}
	default:
		return nil // One that was left.
	}
	if reconnect.IsFinal(err) {
		return err
	}
	if w.leaving && len(w.held) == 0 {
		return nil
	}
	slog.Warn("no stream", "error", err)
	w.retry.Reset(w.pauses.Next(err))
	for _, e := range aside {
		if e.stream == w.current {
			_ = w.handle(e)
		}
	}
	return nil
}

func (w *worker) begin(lease *pb.JobLease) {
	ctx, stop := context.WithCancelCause(context.Background())
	ctx, cancel := context.WithTimeout(ctx, lease.AttemptTimeout.AsDuration())
	a := &attempt{leaseID: lease.LeaseId, stop: stop}
	a.ID, a.Attempt, a.Input = lease.JobId, lease.Attempt, []byte(lease.Input.GetJsonText())
	w.held[a.leaseID] = a
	go func() {
		defer cancel()
		defer stop(nil)
		w.ended <- result{a, a.run(ctx, w.process)}
	}()
}

// look reads how leases stand. An ended attempt whose lease is gone keeps its outcome: it may be
// the one that was recorded, and the answer to it says so.
func (w *worker) look(leases []*pb.LeaseStatus) {
	for _, lease := range leases {
		a := w.held[lease.LeaseId]
		if a == nil {
			continue
		}
		switch lease.State {
		case pb.LeaseState_LEASE_STATE_CANCEL_REQUESTED:
			a.stop(errCancelled)
		case pb.LeaseState_LEASE_STATE_LOST:
			slog.Warn("lease lost", "job_id", a.ID, "attempt", a.Attempt)
			a.stop(errLost)
		}
	}
}

// extend keeps everything that is held. A server that did not answer the last time may be stuck.
func (w *worker) extend() {
	if w.current == nil || len(w.held) == 0 {
		return
	}
	if w.current.extensions > 0 {
		w.open()
	}
	var extensions []*pb.LeaseExtension
	for id, a := range w.held {
		extensions = append(extensions, &pb.LeaseExtension{LeaseId: id, Progress: a.progress.Load()})
		if w.current.reports == 0 {
			a.sent = false // Time to send again what was answered with UNAVAILABLE.
		}
	}
	for chunk := range slices.Chunk(extensions, int(w.current.subscribed.Limits.MaxBatchItems)) {
		w.current.extend(chunk)
	}
}

// report sends the outcomes that there are, one frame at a time: while it is answered, the next
// ones gather.
func (w *worker) report() {
	if w.current == nil || w.current.reports > 0 {
		return
	}
	limits, size := w.current.subscribed.Limits, 0
	var outcomes []*pb.JobOutcome
	for _, a := range w.held {
		if a.outcome == nil || a.sent {
			continue
		}
		size += proto.Size(a.outcome) + 16
		full := len(outcomes) == int(limits.MaxBatchItems) || size > int(limits.MaxMessageBytes)*3/4
		if full && len(outcomes) > 0 {
			break
		}
		a.sent = true
		outcomes = append(outcomes, a.outcome)
	}
	if len(outcomes) > 0 {
		w.current.report(outcomes)
	}
}

// settle forgets outcomes that are decided: recorded, or under a lease that is lost.
func (w *worker) settle(results []*pb.OutcomeResult) {
	for _, result := range results {
		a := w.held[result.LeaseId]
		if a == nil {
			continue
		}
		switch code := codes.Code(result.Status.GetCode()); code {
		case codes.OK, codes.FailedPrecondition:
			slog.Info("job settled", "job_id", a.ID, "attempt", a.Attempt, "code", code.String())
			delete(w.held, result.LeaseId)
		case codes.InvalidArgument: // So would it be again: fail the attempt and say why.
			message := "the outcome was refused: " + result.Status.GetMessage()
			a.outcome = &pb.JobOutcome{LeaseId: a.leaseID, Result: failure(codes.InvalidArgument, message)}
			a.sent = false
		}
	}
}
