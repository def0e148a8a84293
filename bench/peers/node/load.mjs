// Payloads, producers and clocks, the same for every Node peer.
import { setTimeout as sleep } from 'node:timers/promises'

// 200 bytes of JSON text.
export const PAYLOAD = Object.freeze({ n: 'x'.repeat(191) })

// Calls under way while a backlog is made; that is not measured.
export const FILL_CALLS = 4

// How many calls are under way at a time, by the name: create-32, batch-create-4; or one.
export const callsOf = (scenario) => Number(scenario.match(/[0-9]+$/)?.[0] ?? 1)

// Calls `create` until `jobs` are made, `count` calls at a time; returns the seconds it took.
export async function produce(jobs, count, perCall, create) {
  let left = jobs
  const one = async () => {
    while (left > 0) {
      const now = Math.min(perCall, left)
      left -= now
      await create(now)
    }
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: count }, one))
  return (performance.now() - began) / 1000
}

// Counts jobs handed to the handler. `until(n)` resolves when n have been; `at(n)` says when that was.
export class Handled {
  constructor(...marks) {
    this.count = 0
    this.started = undefined
    this.marks = marks.map((n) => {
      const mark = { n }
      mark.reached = new Promise((resolve) => { mark.reach = () => resolve(performance.now()) })
      return mark
    })
  }

  add(jobs) {
    this.started ??= performance.now()
    this.count += jobs
    while (this.marks.length && this.count >= this.marks[0].n) this.marks.shift().reach()
  }
}

// Asks every 5 ms whether `done()`; returns the time at which it was.
export async function until(done) {
  while (!(await done())) await sleep(5)
  return performance.now()
}

// A drain's result: from the first job handed to the handler to the last one recorded as done.
export async function drained(jobs, start, done) {
  const handled = new Handled(jobs)
  const [mark] = handled.marks
  await start(handled)
  await mark.reached
  const ended = await until(done)
  return { result: { jobs, seconds: (ended - handled.started) / 1000 }, handled }
}

// The rate in the middle of a large backlog: the clock runs from the moment at which as many jobs
// have been handed out as can be under way at once, until `jobs` more have been. In between, one
// can only be handed out when another is done.
export async function steady(jobs, underWay, start, stop = () => {}) {
  const handled = new Handled(underWay, underWay + jobs)
  const [first, last] = handled.marks
  await start(handled)
  const began = await first.reached
  const ended = await last.reached
  stop()
  return { result: { jobs, seconds: (ended - began) / 1000 }, handled }
}

export function must(fact, text) {
  if (!fact) throw new Error(text)
}
