// Creates a job in the queue `greetings` and follows it to its end.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type Job, JobSpec, JobState, type JobStatus } from '../gen/jobsvc/v1/job.js';
import {
  CreateJobRequest,
  type CreateJobResponse,
  JobServiceClient,
  StreamJobStatusRequest,
  type StreamJobStatusResponse,
} from '../gen/jobsvc/v1/job_service.js';
import { PayloadEncoding } from '../gen/jobsvc/v1/payload.js';
import { log } from './log.js';
import { channelCredentials } from './credentials.js';
import { CHANNEL_OPTIONS, isFinal, Pauses } from './reconnect.js';

const TIMEOUT_MS = 600_000; // How long to wait for the end of the job.
const PATIENCE_MS = 45_000; // Three of the server's heartbeats.

const target = process.env.JOBSVC_TARGET ?? '127.0.0.1:50051';

/**
 * Creates one job, however often it has to ask: a call that was cut off may have created it, and
 * the same request id returns that one.
 */
async function create(spec: JobSpec, until: number): Promise<Job> {
  const client = new JobServiceClient(target, channelCredentials(), CHANNEL_OPTIONS);
  const request = CreateJobRequest.fromPartial({ spec, requestId: randomUUID() });
  try {
    const { job } = await again(until, () => {
      return new Promise<CreateJobResponse>((resolve, reject) => {
        client.createJob(request, new Metadata(), { deadline: Date.now() + 5000 }, (error, response) =>
          error ? reject(error) : resolve(response),
        );
      });
    });
    if (!job) throw new Error('no job in the answer');
    log('created', { job_id: job.id, request_id: request.requestId });
    return job;
  } finally {
    client.close();
  }
}

/** Returns the status in which a job ends, over as many streams as it takes. */
async function follow(jobId: string, until: number): Promise<JobStatus> {
  let seen = 0;
  return again(until, (pauses) =>
    followOnce(jobId, (status) => {
      pauses.reset();
      // Each stream begins with the status as it is. A lower version is true, too: the database went
      // back, by a failover or a restore; then the end of the job may have any.
      if (status.version === seen && !status.endTime) return;
      seen = status.version;
      const { percent, message } = status.progress ?? {};
      log('status', { job_id: jobId, version: seen, state: JobState[status.state], percent, message });
    }),
  );
}

async function followOnce(jobId: string, tell: (status: JobStatus) => void): Promise<JobStatus> {
  const client = new JobServiceClient(target, channelCredentials(), CHANNEL_OPTIONS);
  const stream = client.streamJobStatus(
    StreamJobStatusRequest.fromPartial({
      jobIds: [jobId],
      payloadEncoding: PayloadEncoding.PAYLOAD_ENCODING_JSON_TEXT,
    }),
  );
  let silence = setTimeout(() => stream.cancel(), PATIENCE_MS);
  try {
    for await (const { event } of stream as AsyncIterable<StreamJobStatusResponse>) {
      clearTimeout(silence);
      silence = setTimeout(() => stream.cancel(), PATIENCE_MS);
      const update = event?.$case === 'update' ? event.value.status : undefined;
      if (update) tell(update);
      if (update?.endTime) return update; // Set exactly when the job has ended.
    }
  } finally {
    clearTimeout(silence);
    stream.on('error', () => {}); // CANCELLED, if it has not ended by itself.
    stream.cancel();
    client.close();
  }
  throw Object.assign(new Error('the stream ended'), { code: status.UNAVAILABLE });
}

/** Repeats an action until it succeeds, fails for good, or the time is over. */
async function again<T>(until: number, action: (pauses: Pauses) => Promise<T>): Promise<T> {
  const pauses = new Pauses();
  for (;;) {
    try {
      return await action(pauses);
    } catch (error) {
      if (isFinal(error as ServiceError) || Date.now() > until) throw error;
      log('trying again', { error: String(error) });
      await sleep(pauses.next(error as ServiceError));
    }
  }
}

async function main(): Promise<void> {
  const input = process.argv[2] ?? '{"name": "Ada", "seconds": 1}';
  const until = Date.now() + TIMEOUT_MS;
  const encoding = { $case: 'jsonText', value: input } as const;
  const job = await create(JobSpec.fromPartial({ queue: 'greetings', input: { encoding } }), until);
  const { state, error, output } = await follow(job.id, until);
  if (state !== JobState.JOB_STATE_COMPLETED) throw new Error(`${JobState[state]}: ${error?.message}`);
  log('completed', { job_id: job.id, output: output?.encoding?.value });
}

main().catch((error: unknown) => {
  log('the job has not completed', { error: String(error) });
  process.exitCode = 1;
});
