// node-postgres as a judge: each line of standard input is one login, each line of output its verdict.
import { createInterface } from 'node:readline'
import pg from 'pg'

async function judge ({ id, host, port, user, password, database, application }) {
  const verdict = { id, connected: false, answered: false, error: '' }
  const client = new pg.Client({
    host, port, user, password, database, application_name: application, ssl: false, connectionTimeoutMillis: 40000,
  })
  const lost = new Promise(resolve => client.on('error', resolve).on('end', () => resolve(new Error('the connection ended'))))
  try {
    await client.connect()
    verdict.connected = true
    const result = await Promise.race([client.query('SELECT 1 AS n'), lost])
    if (result instanceof Error) throw result
    verdict.answered = result.rows.length === 1 && Number(result.rows[0].n) === 1
  } catch (error) {
    verdict.error = error.message || String(error)
  }
  client.end().catch(() => {})
  process.stdout.write(JSON.stringify(verdict) + '\n')
}

// A driver that stumbles over a message throws where nobody catches it; the attempt then has no verdict, which is one.
process.on('uncaughtException', error => process.stderr.write(`${error.stack}\n`))
createInterface({ input: process.stdin }).on('line', line => judge(JSON.parse(line))).on('close', () => process.exit())
