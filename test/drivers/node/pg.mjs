// The checks of the driver matrix with node-postgres.
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import pg from 'pg'
import { from, to } from 'pg-copy-streams'
import { awaitRestart, channel, env, equal, large, notice, refused, rejects, run, sent, text, tls, until, version } from './check.mjs'

async function connect ({ prefix = '', ...options } = {}) {
  const client = new pg.Client({
    host: env('HOST'), port: env('PORT'), user: env(`${prefix}USER`), password: env(`${prefix}PASSWORD`),
    database: env(`${prefix}DATABASE`), ssl: tls, connectionTimeoutMillis: 30000, ...options,
  })
  client.on('error', () => {}) // a lost connection; the next query says so too
  await client.connect()
  return client
}

const value = async (client, sql, parameters) => Object.values((await client.query(sql, parameters)).rows[0])[0]

async function login () {
  const client = await connect()
  equal(await value(client, 'SELECT current_user'), env('USER'))
  await client.end()
}

async function wrongPassword () {
  await refused(connect({ password: 'not-the-one' }))
}

async function parameters () {
  const client = await connect()
  const { rows } = await client.query({
    text: 'SELECT $1::bigint, $2::numeric, $3::float8, $4::bool, $5::bytea, $6::timestamptz, $7::text[], $8::text',
    values: sent, rowMode: 'array',
  })
  equal(rows[0], sent)
  await client.end()
}

async function prepared () {
  const client = await connect()
  for (let i = 0; i < 5; i++) equal(await value(client, { name: 'double', text: 'SELECT $1::int * 2', values: [i] }), 2 * i)
  equal(await value(client, 'SELECT count(*) FROM pg_prepared_statements'), '1')
  await client.end()
}

async function pipelined () {
  const client = await connect({ pipeline: true })
  const values = await Promise.all([...Array(10).keys()].map(i => value(client, 'SELECT $1::int', [i])))
  equal(values, [...Array(10).keys()])
  await client.end()
}

async function copy () {
  const client = await connect()
  await client.query('CREATE TEMP TABLE copied (n int, t text)')
  const rows = [...Array(1000).keys()].map(i => `${i}\trow ${i}\n`)
  await pipeline(Readable.from(rows), client.query(from('COPY copied FROM STDIN')))
  let out = ''
  for await (const chunk of client.query(to('COPY copied TO STDOUT'))) out += chunk
  equal(out, rows.join(''))
  await client.end()
}

async function heardNotice () {
  const client = await connect()
  const heard = []
  client.on('notice', message => heard.push(message.message))
  await client.query(notice)
  equal(heard, ['look here'])
  await client.end()
}

async function notify () {
  const [client, other] = [await connect(), await connect()]
  const heard = new Promise(resolve => client.on('notification', resolve))
  await client.query(`LISTEN ${channel}`)
  await other.query("SELECT pg_notify($1, 'hello')", [channel])
  equal((await heard).payload, 'hello')
  await Promise.all([client.end(), other.end()])
}

async function cancel () {
  const [client, other] = [await connect(), await connect()]
  const pid = await value(client, 'SELECT pg_backend_pid()')
  const query = new pg.Query('SELECT pg_sleep(30)')
  const ended = new Promise((resolve, reject) => query.on('end', resolve).on('error', reject))
  client.query(query)
  await until(() => value(other, "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1", [pid]))
  const canceller = new pg.Client({ host: env('HOST'), port: env('PORT'), ssl: tls })
  canceller.connection.on('error', () => {}) // the server just closes
  canceller.cancel(client, query)
  equal((await rejects(ended, 'the query was not cancelled')).code, '57014')
  await Promise.all([client.end(), other.end()])
}

async function largeValue () {
  const client = await connect()
  equal(await value(client, 'SELECT $1::text', [large]) === large, true)
  await client.end()
}

async function unicode () {
  const client = await connect({ prefix: 'OTHER_' })
  const { rows } = await client.query({ text: 'SELECT current_user, current_database(), $1::text', values: [text], rowMode: 'array' })
  equal(rows[0], [env('OTHER_USER'), env('OTHER_DATABASE'), text])
  await client.end()
}

async function restart () {
  const client = await connect()
  await awaitRestart()
  await rejects(client.query('SELECT 1'), 'the connection outlived its server')
  await login()
}

version('pg')
await run({
  login, 'wrong password': wrongPassword, parameters, prepared, pipeline: pipelined, copy, notice: heardNotice, notify,
  cancel, large: largeValue, unicode, restart,
})
