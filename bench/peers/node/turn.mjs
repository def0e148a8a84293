// A measured program's side of the talk with the harness, as bench/turn.py says it in Python:
// `ready`, a line to wait for, one line of JSON, and staying until the input is closed.
import { createInterface } from 'node:readline'

const input = createInterface({ input: process.stdin })
const closed = new Promise((resolve) => input.once('close', resolve))

export async function turn() {
  process.stdout.write('ready\n')
  await Promise.race([new Promise((resolve) => input.once('line', resolve)), closed])
}

export async function answer(numbers) {
  process.stdout.write(JSON.stringify(numbers) + '\n')
  await closed
}
