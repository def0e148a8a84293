// Tells a caller that its job is done, where the library cannot tell it right after the outcome is
// committed: a trigger on the table sends the job's id by NOTIFY.
import pg from 'pg'

const CHANNEL = 'bench_finished'

export async function watchFinished(dsn, triggerEvent, rowId) {
  const client = new pg.Client({ connectionString: dsn })
  await client.connect()
  await client.query(`
    CREATE FUNCTION bench_finished() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_notify('${CHANNEL}', ${rowId}::text); RETURN NULL; END $$`)
  await client.query(
    `CREATE TRIGGER bench_finished ${triggerEvent} EXECUTE FUNCTION bench_finished()`)
  await client.query(`LISTEN ${CHANNEL}`)
  const early = new Set()
  const waiting = new Map()
  client.on('notification', ({ payload }) => {
    const resolve = waiting.get(payload)
    if (resolve) resolve()
    else early.add(payload)
  })
  return {
    async of(id) {
      if (!early.delete(id)) await new Promise((resolve) => waiting.set(id, resolve))
      waiting.delete(id)
    },
    close: () => client.end(),
  }
}

// One job after the other on an idle system: milliseconds from before the create to the notification.
export async function follow(jobs, warmUp, create, finished) {
  const milliseconds = []
  for (let n = 0; n < warmUp + jobs; n++) {
    const began = performance.now()
    await finished.of(await create())
    if (n >= warmUp) milliseconds.push(performance.now() - began)
  }
  return { milliseconds, in_all: warmUp + jobs }
}
