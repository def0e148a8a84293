import { type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import {
  type JobOutcome,
  type LeaseExtension,
  type Subscribe,
  type Subscribed,
  WorkerServiceClient,
  type WorkRequest,
  type WorkResponse,
} from '../gen/jobsvc/v1/worker_service.js';
import { channelCredentials } from './credentials.js';
import { CHANNEL_OPTIONS } from './reconnect.js';

const OPEN_MS = 5000; // How long a server may take to answer `subscribe`.

/** One conversation, on a connection of its own. */
export class WorkStream {
  subscribed: Subscribed | undefined; // None until the server has answered.
  reports = 0; // Frames that are not answered.
  extensions = 0;
  readonly #call: ClientDuplexStream<WorkRequest, WorkResponse>;

  constructor(
    target: string,
    subscribe: Subscribe,
    onFrame: (stream: WorkStream, frame: WorkResponse) => void,
    onEnd: (stream: WorkStream, error?: ServiceError) => void,
  ) {
    const client = new WorkerServiceClient(target, channelCredentials(), CHANNEL_OPTIONS);
    this.#call = client.work();
    let patience = OPEN_MS;
    let ended = false;
    const giveUp = () => this.#call.cancel();
    let silence = setTimeout(giveUp, patience);
    const finish = (error?: ServiceError) => {
      if (ended) return;
      ended = true;
      clearTimeout(silence);
      client.close();
      onEnd(this, error);
    };
    this.#call.on('data', (frame: WorkResponse) => {
      if (frame.frame?.$case === 'subscribed') {
        patience = 3000 * (frame.frame.value.heartbeatInterval?.seconds ?? 15);
      }
      clearTimeout(silence);
      if (!ended) silence = setTimeout(giveUp, patience);
      onFrame(this, frame);
    });
    this.#call.on('error', finish);
    this.#call.on('end', () => finish());
    this.#send({ $case: 'subscribe', value: subscribe });
  }

  acknowledge(sequence: number): void {
    this.#send({ $case: 'acknowledge', value: { sequence } });
  }

  extend(extensions: LeaseExtension[]): void {
    this.extensions++;
    this.#send({ $case: 'extendLeases', value: { workerId: '', extensions } });
  }

  report(outcomes: JobOutcome[]): void {
    this.reports++;
    this.#send({ $case: 'reportOutcomes', value: { workerId: '', outcomes, succeededLeaseIds: [] } });
  }

  stopDispatch(): void {
    this.#send({ $case: 'setWindow', value: { window: 0, comesBack: false } });
  }

  halfClose(): void {
    this.#call.end();
  }

  /** Sends a frame. If that fails the stream is broken, and its end says why. */
  #send(frame: WorkRequest['frame']): void {
    if (this.#call.writable) this.#call.write({ frame });
  }
}
