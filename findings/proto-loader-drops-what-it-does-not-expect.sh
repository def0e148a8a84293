#!/usr/bin/env bash
# One would guess: Node's gRPC client turns a plain object into a google.protobuf.Struct and a Date
# into a Timestamp, as the JSON mapping of protobuf and the libraries of other languages do; or it
# refuses what it cannot send.
#
# True (@grpc/proto-loader 0.8.0 with protobufjs 7.5.4): both are sent as empty messages, without an
# error. Struct, Value and Timestamp are ordinary messages to it: an object's own keys are unknown
# fields, and unknown fields are dropped. A text or a number in their place is refused ("object
# expected"). With keepCase: true, which examples for snake_case contracts recommend, the fields of
# the contract keep their case, but those of the well-known types stay camelCase: `string_value`
# inside a Value is dropped as well, and so is every misspelt field of one's own.
#
# Source: proto-loader's README describes keepCase for the loaded files; protobufjs's conversion
# (`fromObject`) ignores unknown keys, and its special handling of well-known types covers Any only.
#
# Why it matters: `createJob({input: {to: "ada"}})` is answered OK and makes a job with an empty
# input; `schedule_time: new Date(...)` arrives as 1970, so the job is due at once. A service sees
# valid messages. Send JSON as text, and let the server refuse a time of exactly 0.
#
# Needs: Node.js with npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{"type": "module", "overrides": {"protobufjs": "7.5.4"}}' > package.json
npm install --silent --no-audit --no-fund @grpc/proto-loader@0.8.0
cat > jobs.proto <<'PROTO'
syntax = "proto3";
package jobs;
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
message Job {
  google.protobuf.Struct input = 1;
  google.protobuf.Timestamp schedule_time = 2;
}
service Jobs { rpc Create(Job) returns (Job); }
PROTO
cat > send.js <<'NODE'
import { loadSync } from "@grpc/proto-loader";
const { Create } = loadSync("jobs.proto", { keepCase: true })["jobs.Jobs"];
for (const job of [
  { input: { to: "ada" } },
  { input: { fields: { to: { stringValue: "ada" } } } },
  { input: { fields: { to: { string_value: "ada" } } } },
  { schedule_time: new Date("2027-01-01T00:00:00Z") },
  { schedule_time: "2027-01-01T00:00:00Z" },
  { scheduleTime: { seconds: 1798761600 } },
]) {
  let sent;
  try {
    sent = JSON.stringify(Create.requestDeserialize(Create.requestSerialize(job)));
  } catch (error) {
    sent = `refused: ${error.message}`;
  }
  console.log(JSON.stringify(job), "->", sent);
}
NODE
node send.js | tee seen
diff - seen <<'SEEN' && echo "as described"
{"input":{"to":"ada"}} -> {"input":{}}
{"input":{"fields":{"to":{"stringValue":"ada"}}}} -> {"input":{"fields":{"to":{"stringValue":"ada"}}}}
{"input":{"fields":{"to":{"string_value":"ada"}}}} -> {"input":{"fields":{"to":{}}}}
{"schedule_time":"2027-01-01T00:00:00.000Z"} -> {"schedule_time":{}}
{"schedule_time":"2027-01-01T00:00:00Z"} -> refused: .jobs.Job.schedule_time: object expected
{"scheduleTime":{"seconds":1798761600}} -> {}
SEEN
