# Logs in by each URL with ruby-pg, and uses the session. Prints a line for each: "works", or what failed.
require "pg"

ASLEEP = "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1"

def use(url)
  conn = PG.connect(url)
  other = PG.connect(url)
  conn.exec("CREATE TEMP TABLE kept (n int)")
  conn.transaction { conn.exec_params("INSERT INTO kept VALUES ($1)", [1]) }
  conn.exec("BEGIN; INSERT INTO kept VALUES (2); ROLLBACK")
  count, pid = conn.exec("SELECT count(*), pg_backend_pid() FROM kept").values[0]
  raise "transaction: #{count} rows" unless count == "1"

  conn.send_query("SELECT pg_sleep(30)")
  sleep 0.01 until other.exec_params(ASLEEP, [pid]).getvalue(0, 0) == "t"
  conn.cancel
  begin
    conn.get_last_result
    raise "cancel: the query went on"
  rescue PG::QueryCanceled
    conn.close
    other.close
  end
end

urls = ARGV.empty? ? [ENV.fetch("DATABASE_URL")] : ARGV
urls.each do |url|
  use(url)
  puts "works"
rescue StandardError => e
  puts "#{e.class}: #{e.message.scrub.split.join(' ')}"
ensure
  $stdout.flush
end
