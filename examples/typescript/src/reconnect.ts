// What callers and workers need to be back soon after an outage.
import { type ClientOptions, type ServiceError, status } from '@grpc/grpc-js';
import { ErrorInfo, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { hasNextToken, withToken } from './credentials.js';

const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 2000;

/**
 * By default gRPC's pauses between two tries to connect grow to two minutes, longer than a lease,
 * and all clients of one target share a connection: a long stream wants one of its own.
 */
export const CHANNEL_OPTIONS: ClientOptions = {
  interceptors: [withToken],
  'grpc.initial_reconnect_backoff_ms': FIRST_PAUSE_MS,
  'grpc.max_reconnect_backoff_ms': MAX_PAUSE_MS,
  'grpc.use_local_subchannel_pool': 1,
};

/**
 * Pauses between tries: longer and longer, 2 s at most, and spread, so that those who lost one
 * server do not all come back in the same moment.
 */
export class Pauses {
  #last = 0;

  /** The pause before the next try after an error, no shorter than the server asks for. */
  next(error?: ServiceError): number {
    this.#last = Math.min(Math.max(this.#last * 2, FIRST_PAUSE_MS), MAX_PAUSE_MS);
    return Math.max(this.#last * (0.8 + 0.4 * Math.random()), error ? read(error).retryMs : 0);
  }

  reset(): void {
    this.#last = 0;
  }
}

/** Whether the same call would fail in the same way again. */
export function isFinal(error: ServiceError): boolean {
  const { code, reason } = read(error);
  switch (code) {
    case status.UNIMPLEMENTED:
    case status.PERMISSION_DENIED:
      return true;
    case status.UNAUTHENTICATED:
      return !hasNextToken; // A stream has outlived its token.
    case status.INVALID_ARGUMENT:
    case status.NOT_FOUND:
    case status.FAILED_PRECONDITION:
    case status.ABORTED:
      return reason !== '';
    case status.ALREADY_EXISTS:
      return reason !== '' && reason !== 'WORKER_ID_IN_USE'; // Until the stream before has ended.
    default:
      return false;
  }
}

/**
 * Reads what jobsvc said, whose code counts: a proxy may change the other one. A status without a
 * reason is not from jobsvc: it is a broken connection, whatever a proxy on the way calls it.
 */
function read(error: ServiceError): { code: number; reason: string; retryMs: number } {
  for (const bytes of error.metadata?.get('grpc-status-details-bin') ?? []) {
    const { code, details } = Status.decode(bytes as Buffer);
    const find = (type: string) => details.find(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${type}`))?.value;
    const [info, retry] = [find('ErrorInfo'), find('RetryInfo')];
    const { domain, reason } = ErrorInfo.decode(info ?? new Uint8Array());
    const { seconds = 0, nanos = 0 } = RetryInfo.decode(retry ?? new Uint8Array()).retryDelay ?? {};
    if (domain === 'jobsvc') return { code, reason, retryMs: seconds * 1000 + nanos / 1e6 };
  }
  return { code: error.code, reason: '', retryMs: 0 };
}
