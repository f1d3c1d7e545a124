// Judges servers as an application on Deno's own TLS, which is rustls, would.
const startup = new TextEncoder().encode('\0\0\0\x1f\0\x03\0\0user\0app\0database\0app\0\0')

async function secure(conn, ca, name) {
  await conn.write(new Uint8Array([0, 0, 0, 8, 4, 210, 22, 47]))
  await conn.read(new Uint8Array(1))
  const secured = await Deno.startTls(conn, { hostname: name, caCerts: [Deno.readTextFileSync(ca)] })
  await secured.handshake()
  return secured
}

async function connect(port, ca, name) {
  const plain = await Deno.connect({ hostname: '127.0.0.1', port })
  const conn = ca === '-' ? plain : await secure(plain, ca, name)
  try {
    await conn.write(startup)
    if (await conn.read(new Uint8Array(1)) === null) throw new Error('closed')
  } finally {
    conn.close()
  }
}

const jobs = (await new Response(Deno.stdin.readable).text()).trim().split('\n')
for (const job of jobs) {
  const [id, port, ca, name] = job.split(' ')
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('timeout')), 8000) })
  try {
    await Promise.race([connect(Number(port), ca, name), late])
    console.log(id + '\tconnects\t""')
  } catch (err) {
    console.log(id + '\tfails\t' + JSON.stringify(err.message))
  }
  clearTimeout(timer)
}
Deno.exit(0)
