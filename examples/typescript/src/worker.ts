// Takes jobs from the queue `greetings`.
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '../gen/google/rpc/code.js';
import { type Job, JobFailed } from './attempt.js';
import { conform } from './conformance.js';
import { log } from './log.js';
import { Session } from './session.js';

const GRACE_MS = 20_000; // How long jobs may still run after SIGTERM.

/**
 * The processor: what becomes of one job. It may run more than once for a job, so what it does
 * outside must be idempotent. An error is tried again, unless it is a JobFailed with a code that
 * says otherwise.
 */
async function greet(input: unknown, job: Job): Promise<object> {
  const { name, seconds = 0 } = input as { name?: unknown; seconds?: number };
  if (typeof name !== 'string') throw new JobFailed(Code.INVALID_ARGUMENT, 'name must be a text');
  job.progress = { percent: 50, message: 'thinking of a greeting' };
  // The signal: cancelled, lost, out of time, or the worker must go.
  await sleep(seconds * 1000, undefined, { signal: job.signal });
  return { greeting: `Hello, ${name}`, attempt: job.attempt };
}

const target = process.env.JOBSVC_TARGET ?? '127.0.0.1:50051';
const session = process.argv.includes('--conformance')
  ? new Session(target, 'conformance', conform, 16) // To be tried by `jobsvc conformance worker`.
  : new Session(target, 'greetings', greet, 16);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => session.leave(GRACE_MS));
}
session.run().then(
  () => process.exit(0),
  (error: unknown) => {
    log('the worker ended', { error: String(error) });
    process.exit(1);
  },
);
