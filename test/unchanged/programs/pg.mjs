// Logs in by each URL with node-postgres, and uses the session. Prints a line for each: "works", or what failed.
import pg from 'pg'
import { report, until } from './urls.mjs'

async function connect (connectionString) {
  const client = new pg.Client({ connectionString })
  client.on('error', () => {})
  await client.connect()
  return client
}

const value = async (client, sql, parameters) => Object.values((await client.query(sql, parameters)).rows[0])[0]

await report(async url => {
  const [client, other] = [await connect(url), await connect(url)]
  await client.query('CREATE TEMP TABLE kept (n int)')
  for (const sql of ['BEGIN', 'INSERT INTO kept VALUES (1)', 'COMMIT', 'BEGIN', 'INSERT INTO kept VALUES (2)', 'ROLLBACK']) {
    await client.query(sql)
  }
  const count = await value(client, 'SELECT count(*) FROM kept')
  if (count !== '1') throw new Error(`transaction: ${count} rows`)
  const pid = await value(client, 'SELECT pg_backend_pid()')
  const query = new pg.Query('SELECT pg_sleep(30)')
  const ended = new Promise((resolve, reject) => query.on('end', resolve).on('error', reject))
  client.query(query)
  await until(() => value(other, "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1", [pid]))
  const canceller = new pg.Client({ connectionString: url })
  canceller.connection.on('error', () => {}) // the server just closes
  canceller.cancel(client, query)
  const code = await ended.then(() => 'no error', error => error.code)
  if (code !== '57014') throw new Error(`cancel: ${code}`)
  await Promise.all([client.end(), other.end()])
})
