// graphile-worker: `node graphile.mjs SCENARIO DSN JOBS`. Why the settings are these: ../README.md.
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import { FILL_CALLS, PAYLOAD, callsOf, drained, must, produce, steady, until } from './load.mjs'
import { follow, watchFinished } from './finished.mjs'
import { sendResult, waitForStart } from './protocol.mjs'

const TASK = 'noop'
const POOL = 16
const INSERT_BATCH = 500
const CONCURRENT = 24
const LOCAL_QUEUE = 500

const [scenario, dsn, jobsText] = process.argv.slice(2)
const jobs = Number(jobsText)
const logger = new Logger(() => (level, message) => {
  if (level === 'error') process.stderr.write(message + '\n')
})

async function database() {
  const pool = new pg.Pool({ connectionString: dsn, max: 1 })
  return {
    ask: async (sql) => Object.values((await pool.query(sql)).rows[0])[0],
    close: () => pool.end(),
  }
}

const SOME = 'SELECT EXISTS (SELECT FROM graphile_worker._private_jobs)'
const STORED = 'SELECT count(*)::int FROM graphile_worker._private_jobs'

async function verify(expected) {
  const { ask, close } = await database()
  const count = await ask(STORED)
  await close()
  must(count === expected, `${count} jobs stored, not ${expected}`)
}

async function utilities() {
  const pgPool = new pg.Pool({ connectionString: dsn, max: POOL })
  pgPool.on('error', (error) => { throw error })
  pgPool.on('connect', (client) => client.on('error', (error) => { throw error }))
  const utils = await makeWorkerUtils({ pgPool, logger })
  // Every connection is made before the clock runs.
  const clients = await Promise.all(Array.from({ length: POOL }, () => pgPool.connect()))
  for (const client of clients) client.release()
  return { utils, close: async () => { await utils.release(); await pgPool.end() } }
}

const single = (utils) => () => utils.addJob(TASK, PAYLOAD)

const bulk = (utils) => (count) =>
  utils.addJobs(Array.from({ length: count }, () => ({ identifier: TASK, payload: PAYLOAD })))

const start = (task, worker) =>
  run({
    preset: { worker: { connectionString: dsn, logger, ...worker } },
    taskList: { [TASK]: task },
    parsedCronItems: [],
    noHandleSignals: true,
  })

const FAST = {
  concurrentJobs: CONCURRENT,
  maxPoolSize: CONCURRENT + 2,
  localQueue: { size: LOCAL_QUEUE, refetchDelay: { durationMs: 10 } },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
}

async function create(perCall, makeCreate) {
  const { utils, close } = await utilities()
  await waitForStart()
  const seconds = await produce(jobs, callsOf(scenario), perCall, makeCreate(utils))
  await verify(jobs)
  await sendResult({ jobs, seconds })
  await close()
}

const SCENARIOS = {
  async prepare() {
    const utils = await makeWorkerUtils({ connectionString: dsn, logger })
    await utils.migrate()
    await utils.release()
  },

  async fill() {
    const { utils, close } = await utilities()
    await produce(jobs, FILL_CALLS, INSERT_BATCH, bulk(utils))
    await close()
    await verify(jobs)
  },

  create: () => create(1, single),

  'batch-create': () => create(INSERT_BATCH, bulk),

  async drain() {
    const { ask, close } = await database()
    let runner
    await waitForStart()
    const { result, handled } = await drained(
      jobs,
      async (seen) => { runner = await start(async () => seen.add(1), FAST) },
      async () => !(await ask(SOME)),
    )
    must(handled.count === jobs, `${handled.count} jobs handled, not ${jobs}`)
    await sendResult(result)
    await runner.stop()
    await close()
  },

  async 'drain-1m'() {
    const { ask, close } = await database()
    const before = await ask(STORED)
    let stopped = false
    // A runner that is stopped while it fetches complains (0.18.0), so those that come after the
    // measured ones are stalled instead: never done, never counted.
    const task = (seen) => () => {
      if (stopped) return new Promise(() => {})
      seen.add(1)
    }
    await waitForStart()
    const { result, handled } = await steady(
      jobs, LOCAL_QUEUE + CONCURRENT, (seen) => start(task(seen), FAST), () => { stopped = true })
    await until(async () => (await ask(STORED)) === before - handled.count)
    await sendResult({ ...result, in_all: handled.count })
    await close()
  },

  async latency() {
    const { utils, close } = await utilities()
    const finished = await watchFinished(
      dsn, 'AFTER DELETE ON graphile_worker._private_jobs FOR EACH ROW', 'OLD.id')
    const runner = await start(async () => {}, { concurrentJobs: 4 })
    await waitForStart()
    const result = await follow(
      jobs, 30, async () => (await utils.addJob(TASK, PAYLOAD)).id, finished)
    await sendResult(result)
    await finished.close()
    await runner.stop()
    await close()
  },
}

await SCENARIOS[scenario.replace(/-[0-9]+$/, '')]()
process.exit(0)
