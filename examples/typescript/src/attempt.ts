import { Code } from '../gen/google/rpc/code.js';
import type { JobProgress } from '../gen/jobsvc/v1/job.js';
import { JobOutcome, type JobLease } from '../gen/jobsvc/v1/worker_service.js';
import { log } from './log.js';

/** Why a processor is told to stop: the reason of its signal. */
export type Stop = 'cancelled' | 'lost' | 'leaving' | 'timeout';

/** An attempt as its processor sees it. */
export interface Job {
  readonly id: string;
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** How far it is; sent with the next extension, or the outcome. */
  progress: JobProgress | undefined;
}

/** Does the work of one attempt and returns its output. */
export type Processor = (input: unknown, job: Job) => Promise<object>;

/** Fails an attempt. The code decides whether the job is tried again. */
export class JobFailed extends Error {
  constructor(
    readonly code: Code,
    message: string,
  ) {
    super(message);
  }
}

/** A job from its dispatch until its outcome is confirmed. */
export class Attempt implements Job {
  readonly id: string;
  readonly leaseId: string;
  readonly attempt: number;
  progress: JobProgress | undefined;
  outcome: JobOutcome | undefined; // None while it runs.
  sent = false; // Whether the outcome is on its way on the current stream.
  readonly #stop = new AbortController();

  constructor(readonly lease: JobLease) {
    this.id = lease.jobId;
    this.leaseId = lease.leaseId;
    this.attempt = lease.attempt;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  stop(why: Stop): void {
    this.#stop.abort(why);
  }

  /** Does the work and keeps its outcome; none if the lease is lost, since nobody would take it. */
  async run(processor: Processor): Promise<void> {
    log('job begins', { job_id: this.id, attempt: this.attempt });
    const timeout = setTimeout(() => this.stop('timeout'), (this.lease.attemptTimeout?.seconds ?? 900) * 1000);
    try {
      const { input } = this.lease;
      const text = input?.encoding?.$case === 'jsonText' ? input.encoding.value : '{}';
      const output = JSON.stringify(await processor(JSON.parse(text), this));
      this.#end({ $case: 'success', value: { output: { encoding: { $case: 'jsonText', value: output } } } });
    } catch (error) {
      this.#failed(error);
    } finally {
      clearTimeout(timeout);
    }
  }

  fail(code: Code, message: string): void {
    this.sent = false;
    this.#end({ $case: 'failure', value: { error: { code, reason: '', message, metadata: {}, stackTrace: '' } } });
  }

  #failed(error: unknown): void {
    switch (this.signal.reason as Stop | undefined) {
      case 'lost':
        return;
      case 'cancelled':
        return this.#end({ $case: 'cancelled', value: { message: '' } });
      case 'leaving':
        return this.#end({ $case: 'release', value: { reason: 'the worker must go' } });
      case 'timeout':
        return this.fail(Code.DEADLINE_EXCEEDED, 'the attempt took too long');
      case undefined:
        return this.fail(error instanceof JobFailed ? error.code : Code.UNKNOWN, String(error));
    }
  }

  #end(result: JobOutcome['result']): void {
    this.outcome = { leaseId: this.leaseId, result, progress: this.progress };
  }
}
