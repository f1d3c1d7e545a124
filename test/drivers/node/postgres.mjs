// The checks of the driver matrix with postgres.js.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { awaitRestart, channel, env, equal, large, notice, refused, rejects, run, sent, text, tls, until, version } from './check.mjs'

// on gives a check a client with one connection and closes it behind it.
async function on (does, { prefix = '', ...options } = {}) {
  const sql = postgres({
    host: env('HOST'), port: env('PORT'), user: env(`${prefix}USER`), password: env(`${prefix}PASSWORD`),
    database: env(`${prefix}DATABASE`), ssl: tls, max: 1, connect_timeout: 30, onnotice: () => {}, ...options,
  })
  try {
    return await does(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

const login = () => on(async sql => equal((await sql`SELECT current_user AS name`)[0].name, env('USER')))

const wrongPassword = () => on(sql => refused(sql`SELECT 1`), { password: 'not-the-one' })

const parameters = () => on(async sql => {
  const [number, numeric, real, truth, bytes, when, list, nothing] = sent
  const rows = await sql`SELECT ${number}::bigint, ${numeric}::numeric, ${real}::float8, ${truth}::bool, ${bytes}::bytea,
    ${when}::timestamptz, ${list}::text[], ${nothing}::text`.values()
  equal(rows[0], sent)
})

const prepared = () => on(async sql => {
  for (let i = 0; i < 5; i++) equal((await sql`SELECT ${i}::int * 2 AS n`)[0].n, 2 * i)
  equal((await sql`SELECT count(*)::int AS n FROM pg_prepared_statements WHERE statement LIKE '%int * 2%'`.simple())[0].n, 1)
})

const pipelined = () => on(async sql => {
  const rows = await Promise.all([...Array(10).keys()].map(i => sql`SELECT ${i}::int AS n`))
  equal(rows.map(row => row[0].n), [...Array(10).keys()])
})

const copy = () => on(async sql => {
  await sql`CREATE TEMP TABLE copied (n int, t text)`
  const rows = [...Array(1000).keys()].map(i => `${i}\trow ${i}\n`)
  await pipeline(Readable.from(rows), await sql`COPY copied FROM STDIN`.writable())
  let out = ''
  for await (const chunk of await sql`COPY copied TO STDOUT`.readable()) out += chunk
  equal(out, rows.join(''))
})

const heardNotice = async () => {
  const heard = []
  await on(sql => sql.unsafe(notice), { onnotice: message => heard.push(message.message) })
  equal(heard, ['look here'])
}

const notify = () => on(async sql => {
  let hear
  const heard = new Promise(resolve => { hear = resolve })
  await sql.listen(channel, hear)
  await sql.notify(channel, 'hello')
  equal(await heard, 'hello')
})

const cancel = () => on(sql => on(async other => {
  const pid = (await sql`SELECT pg_backend_pid() AS pid`)[0].pid
  const query = sql`SELECT pg_sleep(30)`
  const ended = rejects(query, 'the query was not cancelled')
  await until(async () =>
    (await other`SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' AS asleep FROM pg_stat_activity WHERE pid = ${pid}`)[0].asleep)
  query.cancel()
  equal((await ended).code, '57014')
}))

const largeValue = () => on(async sql => equal((await sql`SELECT ${large}::text AS t`)[0].t === large, true))

const unicode = () => on(async sql => {
  const rows = await sql`SELECT current_user, current_database(), ${text}::text`.values()
  equal(rows[0], [env('OTHER_USER'), env('OTHER_DATABASE'), text])
}, { prefix: 'OTHER_' })

// A client of postgres.js is a pool: it may have noticed the loss by itself and connect anew for the next query.
const restart = async () => {
  let lost
  const closed = new Promise(resolve => { lost = resolve })
  await on(async sql => {
    const before = (await sql`SELECT pg_backend_pid() AS pid`)[0].pid
    await awaitRestart()
    await closed
    const after = (await sql`SELECT pg_backend_pid() AS pid`)[0].pid
    if (before === after) throw new Error('the connection outlived its server')
  }, { onclose: lost })
  await login()
}

version('postgres')
await run({
  login, 'wrong password': wrongPassword, parameters, prepared, pipeline: pipelined, copy, notice: heardNotice, notify,
  cancel, large: largeValue, unicode, restart,
})
