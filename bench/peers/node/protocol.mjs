// A measured program's side of the line protocol with the benchmark, as bench/measure/protocol.py has
// it in Python: `ready`, a line to wait for, one line of JSON, and staying until the input is closed.
import { createInterface } from 'node:readline'

const input = createInterface({ input: process.stdin })
const closed = new Promise((resolve) => input.once('close', resolve))

export async function waitForStart() {
  process.stdout.write('ready\n')
  await Promise.race([new Promise((resolve) => input.once('line', resolve)), closed])
}

export async function sendResult(numbers) {
  process.stdout.write(JSON.stringify(numbers) + '\n')
  await closed
}
