// What the Node programs of the driver matrix share: the account from the environment, and a line of JSON per check.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

export const env = name => process.env[`DRIVER_${name}`]
export const text = 'Grüße, 世界, \u{1F418}, e\u0301'
export const large = '0123456789abcdef'.repeat(8 << 16)
export const channel = `driver_${process.pid}`
export const notice = "DO $$ BEGIN RAISE NOTICE 'look here'; END $$"
export const sent = [
  '-4611686018427387904', '12345678901234567890.123', 0.1, true, Buffer.from([0, 1, 0x80, 0xff, 39]),
  new Date('2024-02-29T12:34:56.789Z'), ['a', 'b,c'], null,
]

// The certificate must be one for the address that is dialled.
export const tls = env('CA_FILE')
  ? { ca: readFileSync(env('CA_FILE')), host: env('HOST'), rejectUnauthorized: true }
  : false

// A check that the driver cannot do throws this.
export class Limit extends Error {}

const write = line => process.stdout.write(JSON.stringify(line) + '\n')

export function version (name) {
  const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)))
  write({ version: `${name} ${version}` })
}

export function equal (got, want) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)]
  if (a !== b) throw new Error(`got ${String(a).slice(0, 100)}, want ${String(b).slice(0, 100)}`)
}

export async function rejects (promise, otherwise) {
  let failure
  await promise.catch(error => { failure = error })
  if (!failure) throw new Error(otherwise)
  return failure
}

export async function refused (promise) {
  const error = await rejects(promise, 'a wrong password was accepted')
  if (!error.message.includes(env('REFUSAL'))) throw new Error(`not the server's words: ${error.message}`)
}

// until calls done every few milliseconds until it says so.
export async function until (done) {
  for (const end = Date.now() + 30000; !await done();) {
    if (Date.now() > end) throw new Error('it did not happen within 30 s')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

export async function awaitRestart () {
  write({ waiting: 'restart' })
  const lines = createInterface({ input: process.stdin })
  await new Promise(resolve => lines.once('line', resolve).once('close', resolve))
  lines.close()
}

// inTime fails after a minute.
async function inTime (promise) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no result within 60 s')), 60000)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

// run runs checks in order; a text that one returns is a note. A restart takes as long as it takes.
export async function run (checks) {
  for (const [check, does] of Object.entries(checks)) {
    try {
      const note = await (check === 'restart' ? does() : inTime(does()))
      write({ check, ok: true, note: note ?? '' })
    } catch (error) {
      write({ check, ok: error instanceof Limit ? null : false, note: error.message || String(error) })
    }
  }
  process.exit()
}
