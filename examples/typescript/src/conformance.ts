import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from './attempt.js';

interface Input {
  sleep_ms?: number;
  cleanup_ms?: number;
  fail?: string;
}

/**
 * The processor that `jobsvc conformance worker` wants, in the queue `conformance`: it returns its
 * input, and waits, cleans up and fails as that says.
 */
export async function conform(input: unknown, job: Job): Promise<object> {
  const { sleep_ms = 0, cleanup_ms = 0, fail } = input as Input;
  try {
    await sleep(sleep_ms, undefined, { signal: job.signal });
  } catch (error) {
    await sleep(cleanup_ms);
    throw error;
  }
  if (fail !== undefined) throw new Error(fail);
  return input as object;
}
