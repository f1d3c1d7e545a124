// Logs in by each URL with postgres.js, and uses the session. Prints a line for each: "works", or what failed.
import postgres from 'postgres'
import { report, until } from './urls.mjs'

async function use (sql, other) {
  await sql`CREATE TEMP TABLE kept (n int)`
  await sql.begin(sql => sql`INSERT INTO kept VALUES (1)`)
  await sql.begin(async sql => {
    await sql`INSERT INTO kept VALUES (2)`
    throw new Error('undo')
  }).catch(error => { if (error.message !== 'undo') throw error })
  const [{ count, pid }] = await sql`SELECT count(*), pg_backend_pid() AS pid FROM kept`
  if (count !== '1') throw new Error(`transaction: ${count} rows`)
  const query = sql`SELECT pg_sleep(30)`
  const ended = query.then(() => 'no error', error => error.code)
  await until(async () =>
    (await other`SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' AS asleep FROM pg_stat_activity WHERE pid = ${pid}`)[0].asleep)
  query.cancel()
  const code = await ended
  if (code !== '57014') throw new Error(`cancel: ${code}`)
}

await report(async url => {
  const [sql, other] = [0, 1].map(() => postgres(url, { max: 1, onnotice: () => {} }))
  try {
    await use(sql, other)
  } finally {
    await Promise.all([sql.end({ timeout: 1 }), other.end({ timeout: 1 })])
  }
})
