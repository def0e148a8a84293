// How to connect, and who calls, by the variables that the jobsvc command reads too.
import { readFileSync } from 'node:fs';
import { type ChannelCredentials, credentials, InterceptingCall, type Interceptor } from '@grpc/grpc-js';

const { JOBSVC_TLS, JOBSVC_CA, JOBSVC_CERT, JOBSVC_KEY, JOBSVC_TOKEN, JOBSVC_TOKEN_FILE } = process.env;

/** TLS by JOBSVC_TLS, JOBSVC_CA, JOBSVC_CERT and JOBSVC_KEY. */
export function channelCredentials(): ChannelCredentials {
  if (!JOBSVC_TLS && !JOBSVC_CA && !JOBSVC_CERT) return credentials.createInsecure();
  const read = (path?: string) => (path ? readFileSync(path) : null);
  return credentials.createSsl(read(JOBSVC_CA), read(JOBSVC_KEY), read(JOBSVC_CERT));
}

/** Whether there may be another token the next time. */
export const hasNextToken = !JOBSVC_TOKEN && !!JOBSVC_TOKEN_FILE;

/**
 * Adds the token of JOBSVC_TOKEN or JOBSVC_TOKEN_FILE to every call and stream. A file is read each
 * time, since it is replaced before its token ends.
 */
export const withToken: Interceptor = (options, nextCall) =>
  new InterceptingCall(nextCall(options), {
    start(metadata, listener, next) {
      const token = JOBSVC_TOKEN || (JOBSVC_TOKEN_FILE && readFileSync(JOBSVC_TOKEN_FILE, 'utf8').trim());
      if (token) metadata.set('authorization', `Bearer ${token}`);
      next(metadata, listener);
    },
  });
