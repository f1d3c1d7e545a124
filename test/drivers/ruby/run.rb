# The checks of the driver matrix with ruby-pg.
require "json"
require "pg"

ASLEEP = "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1"
TEXT = "Grüße, 世界, \u{1F418}, e\u0301"
LARGE = "0123456789abcdef" * (8 << 16)
CHANNEL = "driver_#{Process.pid}"

# Raised by a check that the driver cannot do.
class Limit < StandardError; end

def write(line)
  puts JSON.generate(line)
  $stdout.flush
end

def env(name)
  ENV.fetch("DRIVER_#{name}").dup.force_encoding("UTF-8")
end

def connect(prefix = "", password: env("#{prefix}PASSWORD"))
  tls = env("CA_FILE").empty? ? { sslmode: "disable" } : { sslmode: "verify-full", sslrootcert: env("CA_FILE") }
  PG.connect(host: env("HOST"), port: env("PORT"), user: env("#{prefix}USER"), password: password,
             dbname: env("#{prefix}DATABASE"), connect_timeout: 30, client_encoding: "UTF8", **tls)
end

def equal(got, want)
  raise "got #{got.inspect[0, 100]}, want #{want.inspect[0, 100]}" unless got == want
end

# A check that returns a text passes with that text as note.
def check(name)
  note = yield
  write(check: name, ok: true, note: note.is_a?(String) ? note : "")
rescue Limit => e
  write(check: name, ok: nil, note: e.message)
rescue StandardError => e
  write(check: name, ok: false, note: "#{e.class}: #{e.message.scrub}")
end

def refusal
  yield.close
  nil
rescue PG::Error => e
  e
end

def login
  conn = connect
  equal(conn.exec("SELECT current_user").getvalue(0, 0), env("USER"))
  conn.close
end

libpq = PG.library_version
write(version: "ruby-pg #{PG::VERSION} (libpq #{libpq / 10_000}.#{libpq % 10_000})")

check("login") { login && nil }

check("wrong password") do
  error = refusal { connect(password: "not-the-one") }
  raise "a wrong password was accepted" unless error
  raise "not the server's words: #{error.message}" unless error.message.include?(env("REFUSAL"))
end

check("parameters") do
  conn = connect
  conn.type_map_for_queries = PG::BasicTypeMapForQueries.new(conn)
  conn.type_map_for_results = PG::BasicTypeMapForResults.new(conn)
  bytes = "\0\1\x80\xff'".b
  row = conn.exec_params("SELECT $1::bigint, $2::float8, $3::bool, $4::bytea, $5::text[], $6::text",
                         [-(1 << 62), 0.1, true, PG::BasicTypeMapForQueries::BinaryData.new(bytes), ["a", "b,c"], nil]).values[0]
  equal(row, [-(1 << 62), 0.1, true, bytes, ["a", "b,c"], nil])
end

check("prepared") do
  conn = connect
  conn.prepare("double", "SELECT $1::int * 2")
  5.times { |i| equal(conn.exec_prepared("double", [i]).getvalue(0, 0), (2 * i).to_s) }
end

check("pipeline") do
  conn = connect
  conn.enter_pipeline_mode
  10.times { |i| conn.send_query_params("SELECT $1::int", [i]) }
  conn.pipeline_sync
  sum = 0
  10.times do
    sum += conn.get_result.getvalue(0, 0).to_i
    equal(conn.get_result, nil)
  end
  equal(conn.get_result.result_status, PG::PGRES_PIPELINE_SYNC)
  conn.exit_pipeline_mode
  equal(sum, 45)
end

check("copy") do
  conn = connect
  conn.exec("CREATE TEMP TABLE copied (n int, t text)")
  conn.copy_data("COPY copied FROM STDIN") { 1000.times { |i| conn.put_copy_data("#{i}\trow #{i}\n") } }
  rows = 0
  conn.copy_data("COPY copied TO STDOUT") { rows += 1 while conn.get_copy_data }
  equal(rows, 1000)
end

check("notice") do
  conn = connect
  heard = []
  conn.set_notice_processor { |message| heard << message }
  conn.exec("DO $$ BEGIN RAISE NOTICE 'look here'; END $$")
  equal(heard, ["NOTICE:  look here\n"])
end

check("notify") do
  conn = connect
  conn.exec("LISTEN #{CHANNEL}")
  connect.exec_params("SELECT pg_notify($1, 'hello')", [CHANNEL])
  heard = nil
  conn.wait_for_notify(30) { |_, _, payload| heard = payload }
  equal(heard, "hello")
end

check("cancel") do
  conn = connect
  other = connect
  pid = conn.exec("SELECT pg_backend_pid()").getvalue(0, 0)
  conn.send_query("SELECT pg_sleep(30)")
  deadline = Time.now + 30
  until other.exec_params(ASLEEP, [pid]).getvalue(0, 0) == "t"
    raise "the query did not start" if Time.now > deadline

    sleep 0.01
  end
  equal(conn.cancel, nil)
  begin
    conn.get_last_result
    raise "the query was not cancelled"
  rescue PG::QueryCanceled
    nil
  end
end

check("large") { equal(connect.exec_params("SELECT $1::text", [LARGE]).getvalue(0, 0), LARGE) }

check("unicode") do
  row = connect("OTHER_").exec_params("SELECT current_user, current_database(), $1::text", [TEXT]).values[0]
  equal(row, [env("OTHER_USER"), env("OTHER_DATABASE"), TEXT])
end

check("restart") do
  conn = connect
  write(waiting: "restart")
  $stdin.gets
  error = refusal { conn.exec("SELECT 1") && conn }
  raise "the connection outlived its server" unless error

  login
end
