// What the Node programs share.

// report calls use with each URL and prints a line for each: "works", or what failed.
export async function report (use) {
  const urls = process.argv.slice(2)
  for (const url of urls.length > 0 ? urls : [process.env.DATABASE_URL]) {
    const said = await use(url).then(() => 'works', error => `${error.message || error.errors || error} ${error.hint ?? ''}`.trim())
    process.stdout.write(said.replace(/\s+/g, ' ') + '\n')
  }
  process.exit()
}

// until calls done every few milliseconds until it says so.
export async function until (done) {
  for (const end = Date.now() + 20000; !await done();) {
    if (Date.now() > end) throw new Error('it did not happen within 20 s')
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
