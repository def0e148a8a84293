// pg-boss: `node pgboss.mjs SCENARIO DSN JOBS`. Why the settings are these: ../README.md.
import { PgBoss } from 'pg-boss'
import pg from 'pg'
import { FILL_CALLS, PAYLOAD, callsOf, drained, must, produce, steady } from './load.mjs'
import { follow, watchFinished } from './finished.mjs'
import { sendResult, waitForStart } from './protocol.mjs'

const QUEUE = 'noop'
const POOL = 16
const INSERT_BATCH = 1000
const WORKERS = 2
const FETCH_BATCH = 1000

const [scenario, dsn, jobsText] = process.argv.slice(2)
const jobs = Number(jobsText)

async function started(options = {}) {
  const boss = new PgBoss({ connectionString: dsn, max: POOL, ...options })
  boss.on('error', (error) => { throw error })
  await boss.start()
  return boss
}

async function asked(sql) {
  const client = new pg.Client({ connectionString: dsn })
  await client.connect()
  const ask = async () => Object.values((await client.query(sql)).rows[0])[0]
  return { ask, close: () => client.end() }
}

const UNDONE = `SELECT EXISTS (SELECT FROM pgboss.job WHERE name = '${QUEUE}' AND state < 'completed')`
const STORED = `SELECT count(*)::int FROM pgboss.job WHERE name = '${QUEUE}'`
const ONCE = `${STORED} AND state = 'completed' AND retry_count = 0`

async function verify(sql, expected) {
  const { ask, close } = await asked(sql)
  const count = await ask()
  await close()
  must(count === expected, `${count} jobs of ${expected}: ${sql}`)
}

const single = (boss) => () => boss.send(QUEUE, PAYLOAD)

const bulk = (boss) => (count) =>
  boss.insert(QUEUE, Array.from({ length: count }, () => ({ data: PAYLOAD })))

async function create(perCall, makeCreate) {
  const boss = await started()
  await waitForStart()
  const seconds = await produce(jobs, callsOf(scenario), perCall, makeCreate(boss))
  await verify(STORED, jobs)
  await sendResult({ jobs, seconds })
  await boss.stop()
}

const work = (boss) => (handled) =>
  boss.work(
    QUEUE,
    {
      batchSize: FETCH_BATCH,
      localConcurrency: WORKERS,
      burstWhenBatchFull: true,
      pollingIntervalSeconds: 0.5,
    },
    async (batch) => handled.add(batch.length),
  )

const SCENARIOS = {
  async prepare() {
    const boss = await started()
    await boss.createQueue(QUEUE)
    await boss.stop()
  },

  async fill() {
    const boss = await started()
    await produce(jobs, FILL_CALLS, INSERT_BATCH, bulk(boss))
    await boss.stop()
    await verify(STORED, jobs)
  },

  create: () => create(1, single),

  'batch-create': () => create(INSERT_BATCH, bulk),

  async drain() {
    const boss = await started()
    const { ask, close } = await asked(UNDONE)
    await waitForStart()
    const { result, handled } = await drained(jobs, work(boss), async () => !(await ask()))
    await close()
    must(handled.count === jobs, `${handled.count} jobs handled, not ${jobs}`)
    await verify(ONCE, jobs)
    await sendResult(result)
    await boss.stop()
  },

  async 'drain-1m'() {
    const boss = await started()
    await waitForStart()
    const { result, handled } = await steady(jobs, WORKERS * FETCH_BATCH, work(boss))
    await boss.offWork(QUEUE, { wait: true })
    await verify(ONCE, handled.count)
    await sendResult({ ...result, in_all: handled.count })
    await boss.stop()
  },

  async latency() {
    const boss = await started({ useListenNotify: true })
    await boss.updateQueue(QUEUE, { notify: true })
    const finished = await watchFinished(
      dsn,
      `AFTER UPDATE OF state ON pgboss.job FOR EACH ROW WHEN (NEW.state = 'completed')`,
      'NEW.id',
    )
    await boss.work(QUEUE, async () => {})
    await waitForStart()
    const result = await follow(jobs, 30, single(boss), finished)
    await sendResult(result)
    await finished.close()
    await boss.stop()
  },
}

await SCENARIOS[scenario.replace(/-[0-9]+$/, '')]()
process.exit(0)
