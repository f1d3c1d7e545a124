// Judges servers as an application on node's tls module would. Node 8 and Bun run it, too.
'use strict'
const fs = require('fs')
const net = require('net')
const tls = require('tls')

const startup = Buffer.from('\0\0\0\x1f\0\x03\0\0user\0app\0database\0app\0\0', 'latin1')

function connect(port, ca, name) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    const timer = setTimeout(() => done(new Error('timeout')), 8000)
    function done(err) {
      clearTimeout(timer)
      socket.destroy()
      if (err) reject(err)
      else resolve()
    }
    socket.on('error', done)
    if (ca === '-') { // without TLS
      socket.on('connect', () => socket.write(startup))
      socket.once('data', () => done())
      return
    }
    socket.on('connect', () => socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])))
    socket.once('data', () => {
      socket.removeAllListeners('error')
      const options = { socket, ca: fs.readFileSync(ca) }
      if (net.isIP(name)) options.host = name
      else options.servername = name
      const secured = tls.connect(options, () => secured.write(startup))
      secured.on('error', done)
      secured.on('close', () => done(new Error('closed')))
      secured.once('data', () => done())
    })
  })
}

async function main() {
  const jobs = fs.readFileSync(0, 'latin1').trim().split('\n')
  for (const job of jobs) {
    const [id, port, ca, name] = job.split(' ')
    try {
      await connect(Number(port), ca, name)
      console.log(id + '\tconnects\t""')
    } catch (err) {
      const code = err.code && !err.message.includes(err.code) ? ' (' + err.code + ')' : ''
      console.log(id + '\tfails\t' + JSON.stringify(err.message + code))
    }
  }
  process.exit(0)
}
main()
