#!/usr/bin/env bash
# One would guess: leaving `for await (const status of call)` early, by break, return or an error,
# ends the call, since Node destroys a stream whose loop is left, and Go's and Python's calls end with
# their context.
#
# True (@grpc/grpc-js 1.14.7): the stream object is destroyed, and the call goes on. The server is not
# told and keeps serving it; a process that waits for nothing else does not exit until the server ends
# the call. `call.cancel()` ends it, also after the loop.
#
# Source: Node's documentation says that a loop that ends by break, return or throw destroys the
# stream; the class of grpc-js does not implement `destroy` (grpc/grpc-node#1238).
#
# Why it matters: a caller that follows a job until it has ended leaves its loop at the last status.
# Each such call stays open on the server and counts against its limits, heartbeats included, for as
# long as the client's process lives. Cancel the call in a `finally`.
#
# Needs: Node.js with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{"type": "module"}' > package.json
npm install --silent --no-audit --no-fund @grpc/grpc-js@1.14.7
cat > follow.js <<'NODE'
import grpc from "@grpc/grpc-js";

const raw = (value) => value;
const service = {
  Follow: {
    path: "/demo.Jobs/Follow",
    requestStream: false,
    responseStream: true,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  },
};
let told = false;
const server = new grpc.Server();
server.addService(service, {
  Follow(call) {
    call.on("cancelled", () => {
      told = true;
    });
    call.write(Buffer.from("COMPLETED"));
  },
});
const port = await new Promise((done, failed) =>
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
    error ? failed(error) : done(bound),
  ),
);
const Client = grpc.makeGenericClientConstructor(service, "Jobs");
const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
for (const how of ["break", "break, then cancel()"]) {
  told = false;
  const call = client.Follow(Buffer.from("job"));
  call.on("error", () => {});
  for await (const status of call) {
    break;
  }
  if (how !== "break") call.cancel();
  await new Promise((done) => setTimeout(done, 2000));
  console.log(`${how}: stream destroyed: ${call.destroyed}, server told: ${told}`);
}
process.exit(0);
NODE
node follow.js | tee seen
diff - seen <<'SEEN' && echo "as described"
break: stream destroyed: true, server told: false
break, then cancel(): stream destroyed: true, server told: true
SEEN
