import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type ServiceError, status } from '@grpc/grpc-js';
import { Code } from '../gen/google/rpc/code.js';
import { PayloadEncoding } from '../gen/jobsvc/v1/payload.js';
import {
  JobOutcome,
  type JobLease,
  LeaseState,
  type LeaseStatus,
  type OutcomeResult,
  Subscribe,
  type Subscribed,
  type WorkResponse,
} from '../gen/jobsvc/v1/worker_service.js';
import { Attempt, type Processor } from './attempt.js';
import { log } from './log.js';
import { isFinal, Pauses } from './reconnect.js';
import { WorkStream } from './stream.js';

const CONFIRM_MS = 10_000; // How long a leaving worker waits for its last confirmations.

/** Holds jobs and keeps a stream, until it is told to leave. */
export class Session {
  // By lease: what runs, and what has ended and is not confirmed.
  readonly #held = new Map<string, Attempt>();
  // New at every start of the process, kept over reconnects.
  readonly #workerId = `${hostname()}/${randomUUID()}`;
  #current: WorkStream | undefined; // The one to send on.
  #opening: WorkStream | undefined; // The one that takes its place once it is subscribed.
  // Dispatches to the current stream while another is opening, whose held leases lack them.
  #aside: [WorkStream, WorkResponse][] = [];
  #token = '';
  readonly #pauses = new Pauses();
  #tick: NodeJS.Timeout | undefined;
  #leaving = false;
  #end: (error?: Error) => void = () => {};

  constructor(
    readonly target: string,
    readonly queue: string,
    readonly processor: Processor,
    readonly window: number,
  ) {}

  /** Works until `leave` is called and every job has ended or is handed back. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#end = (error) => (error ? reject(error) : resolve());
      this.#open();
    });
  }

  /** Takes no more jobs, gives running ones the grace to end, and hands back the rest. */
  leave(graceMs: number): void {
    log('leaving', { jobs: this.#held.size });
    this.#leaving = true;
    this.#current?.stopDispatch();
    setTimeout(() => this.#held.forEach((attempt) => attempt.stop('leaving')), graceMs);
    setTimeout(() => {
      this.#end(new Error(`${this.#held.size} outcomes could not be delivered: those jobs will run again`));
    }, graceMs + CONFIRM_MS);
    this.#step();
  }

  /** Sends what there is to send, and ends when nothing is left. */
  #step(): void {
    this.#report();
    if (this.#leaving && this.#held.size === 0) {
      if (this.#current) this.#current.halfClose(); // The server answers with the end of the stream.
      else this.#end();
    }
  }

  /**
   * Opens a stream, beside the current one if there is one. It lists all that is held, ended or
   * not: what a stream does not list goes back to its queue.
   */
  #open(): void {
    this.#opening ??= new WorkStream(
      this.target,
      Subscribe.fromPartial({
        worker: { workerId: this.#workerId, sdk: 'example-typescript' },
        queues: [{ queue: this.queue }],
        window: this.#leaving ? 0 : this.window,
        payloadEncoding: PayloadEncoding.PAYLOAD_ENCODING_JSON_TEXT,
        heldLeaseIds: [...this.#held.keys()],
        resumeToken: this.#token,
      }),
      (stream, frame) => {
        this.#handle(stream, frame);
        this.#step();
      },
      (stream, error) => {
        this.#ended(stream, error);
        this.#step();
      },
    );
  }

  #handle(stream: WorkStream, { frame, sequence }: WorkResponse): void {
    switch (frame?.$case) {
      case 'subscribed':
        return this.#goOnWith(stream, frame.value);
      case 'dispatch':
        if (this.#opening) {
          // Not listed there, so it goes back if that one is subscribed.
          this.#aside.push([stream, { frame, sequence }]);
          return;
        }
        frame.value.leases.forEach((lease) => this.#begin(lease));
        return stream.acknowledge(sequence);
      case 'leaseStatuses':
        stream.extensions = 0;
        if (frame.value.leases.length === 0) this.#open(); // No database there: another replica may be well.
        return this.#look(frame.value.leases);
      case 'outcomeResults':
        stream.reports--;
        return frame.value.results.forEach((result) => this.#settle(result));
      case 'drain':
        log('moving on', { reason: frame.value.reason });
        return this.#open();
    } // Heartbeats, and frames of a later version.
  }

  /** Makes a stream the current one. What the one before did not confirm is sent again. */
  #goOnWith(stream: WorkStream, subscribed: Subscribed): void {
    log('subscribed', { worker_id: this.#workerId, server_id: subscribed.serverId, held: this.#held.size });
    this.#current?.halfClose();
    this.#current = stream;
    this.#opening = undefined;
    this.#aside = [];
    stream.subscribed = subscribed;
    this.#token = subscribed.resumeToken;
    this.#pauses.reset();
    clearInterval(this.#tick);
    const { seconds = 10, nanos = 0 } = subscribed.extendInterval ?? {};
    this.#tick = setInterval(() => this.#extend(), seconds * 1000 + nanos / 1e6);
    this.#look(subscribed.heldLeases);
    for (const attempt of this.#held.values()) attempt.sent = false;
    if (this.#leaving) stream.stopDispatch();
  }

  /** Opens another stream in place of one that has ended, unless that could not help. */
  #ended(stream: WorkStream, error?: ServiceError): void {
    const aside = this.#aside;
    if (stream === this.#opening) {
      this.#opening = undefined;
      this.#aside = [];
    } else if (stream === this.#current) {
      this.#current = undefined;
      if (this.#opening) return; // It may be the reason: the next one replaces this one.
    } else return; // One that was left.
    if (error && isFinal(error)) return this.#end(error);
    if (this.#leaving && this.#held.size === 0) return;
    log('no stream', { error: error?.message ?? 'it ended' });
    setTimeout(() => this.#open(), this.#pauses.next(error));
    for (const [from, frame] of aside) if (from === this.#current) this.#handle(from, frame);
  }

  #begin(lease: JobLease): void {
    const attempt = new Attempt(lease);
    this.#held.set(attempt.leaseId, attempt);
    void attempt.run(this.processor).then(() => {
      if (!attempt.outcome) this.#held.delete(attempt.leaseId);
      this.#step();
    });
  }

  /**
   * Reads how leases stand. An ended attempt whose lease is gone keeps its outcome: it may be the
   * one that was recorded, and the answer to it says so.
   */
  #look(leases: LeaseStatus[]): void {
    for (const { leaseId, state } of leases) {
      const attempt = this.#held.get(leaseId);
      if (!attempt || attempt.outcome) continue;
      if (state === LeaseState.LEASE_STATE_CANCEL_REQUESTED) attempt.stop('cancelled');
      if (state === LeaseState.LEASE_STATE_LOST) {
        log('lease lost', { job_id: attempt.id, attempt: attempt.attempt });
        attempt.stop('lost');
      }
    }
  }

  /** Keeps everything that is held. A server that did not answer the last time may be stuck. */
  #extend(): void {
    const stream = this.#current;
    if (!stream || this.#held.size === 0) return;
    if (stream.extensions > 0) this.#open();
    const held = [...this.#held.values()];
    if (stream.reports === 0) {
      for (const attempt of held) attempt.sent = false; // Time to send again what was UNAVAILABLE.
    }
    const most = stream.subscribed?.limits?.maxBatchItems ?? 1000;
    for (let start = 0; start < held.length; start += most) {
      const chunk = held.slice(start, start + most);
      stream.extend(chunk.map(({ leaseId, progress }) => ({ leaseId, progress })));
    }
    this.#step();
  }

  /** Sends the outcomes that there are, one frame at a time: meanwhile the next ones gather. */
  #report(): void {
    const stream = this.#current;
    if (!stream?.subscribed || stream.reports > 0) return;
    const { maxBatchItems = 1000, maxMessageBytes = 4 << 20 } = stream.subscribed.limits ?? {};
    const outcomes: JobOutcome[] = [];
    let bytes = 0;
    for (const attempt of this.#held.values()) {
      if (!attempt.outcome || attempt.sent) continue;
      bytes += JobOutcome.encode(attempt.outcome).finish().length + 16;
      const full = outcomes.length === maxBatchItems || bytes > maxMessageBytes * 0.75;
      if (full && outcomes.length > 0) break;
      attempt.sent = true;
      outcomes.push(attempt.outcome);
    }
    if (outcomes.length > 0) stream.report(outcomes);
  }

  /** Forgets an outcome that is decided: recorded, or under a lease that is lost. */
  #settle({ leaseId, status: result }: OutcomeResult): void {
    const attempt = this.#held.get(leaseId);
    if (!attempt) return;
    switch (result?.code ?? status.OK) {
      case status.OK:
      case status.FAILED_PRECONDITION:
        log('job settled', { job_id: attempt.id, attempt: attempt.attempt, code: result?.code ?? 0 });
        this.#held.delete(leaseId);
        break;
      case status.INVALID_ARGUMENT: // So would it be again: fail the attempt and say why.
        attempt.progress = undefined; // It may be that.
        attempt.fail(Code.INVALID_ARGUMENT, `the outcome was refused: ${result?.message}`);
    }
  }
}
