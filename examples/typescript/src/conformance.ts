import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from './attempt.js';

/**
 * The processor that `jobsvc conformance worker` wants, in the queue `conformance`: it returns its
 * input, and waits and fails as that says.
 */
export async function conform(input: unknown, job: Job): Promise<object> {
  const { sleep_ms = 0, fail } = input as { sleep_ms?: number; fail?: string };
  await sleep(sleep_ms, undefined, { signal: job.signal });
  if (fail !== undefined) throw new Error(fail);
  return input as object;
}
