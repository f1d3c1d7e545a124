<?php
// The checks of the driver matrix with PHP's pgsql extension.

const TEXT = "Grüße, 世界, \u{1F418}, e\u{301}";

class Limit extends Exception {}

set_error_handler(function (int $level, string $message): bool {
    throw new ErrorException($message, 0, $level);
});

function env(string $name): string { return (string) getenv("DRIVER_$name"); }

function write(array $line): void { echo json_encode($line, JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE), "\n"; }

function connect(string $prefix = '', ?string $password = null): PgSql\Connection
{
    $quote = fn (string $s): string => "'" . addcslashes($s, "'\\") . "'";
    $tls = env('CA_FILE') === '' ? 'sslmode=disable' : 'sslmode=verify-full sslrootcert=' . $quote(env('CA_FILE'));
    return pg_connect('host=' . env('HOST') . ' port=' . env('PORT') . ' user=' . $quote(env($prefix . 'USER'))
        . ' password=' . $quote($password ?? env($prefix . 'PASSWORD')) . ' dbname=' . $quote(env($prefix . 'DATABASE'))
        . " connect_timeout=30 client_encoding=UTF8 $tls", PGSQL_CONNECT_FORCE_NEW);
}

function equal(mixed $got, mixed $want): void
{
    if ($got !== $want) {
        throw new Exception(sprintf('got %.100s, want %.100s', var_export($got, true), var_export($want, true)));
    }
}

// check runs a check; a text that it returns is a note.
function check(string $name, callable $do): void
{
    try {
        write(['check' => $name, 'ok' => true, 'note' => $do() ?? '']);
    } catch (Limit $e) {
        write(['check' => $name, 'ok' => null, 'note' => $e->getMessage()]);
    } catch (Throwable $e) {
        write(['check' => $name, 'ok' => false, 'note' => $e->getMessage()]);
    }
}

function value(PgSql\Connection $db, string $sql, array $parameters = []): ?string
{
    return pg_fetch_result(pg_query_params($db, $sql, $parameters), 0, 0);
}

function login(): void
{
    $db = connect();
    equal(value($db, 'SELECT current_user'), env('USER'));
    pg_close($db);
}

// fails returns the message with which something fails.
function fails(callable $do, string $otherwise): string
{
    try {
        $do();
    } catch (Throwable $e) {
        return $e->getMessage();
    }
    throw new Exception($otherwise);
}

function asleep(PgSql\Connection $db, int $pid): bool
{
    return value($db, "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1", [$pid]) === 't';
}

check('login', function () {
    $db = connect();
    write(['version' => 'PHP pgsql ' . PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION . '.' . PHP_RELEASE_VERSION
        . ' (libpq ' . preg_replace('/ .*/', '', pg_version($db)['client']) . ')']);
    equal(value($db, 'SELECT current_user'), env('USER'));
});

check('wrong password', function () {
    $message = fails(fn () => connect(password: 'not-the-one'), 'a wrong password was accepted');
    if (!str_contains($message, env('REFUSAL'))) {
        throw new Exception("not the server's words: $message");
    }
});

check('parameters', function () {
    $db = connect();
    $bytes = "\0\1\x80\xff'";
    $result = pg_query_params($db, 'SELECT $1::bigint, $2::float8, $3::bool, $4::bytea, $5::text[], $6::text',
        [-(1 << 62), 0.1, 'true', pg_escape_bytea($db, $bytes), '{a,"b,c"}', null]);
    $row = pg_fetch_row($result);
    $row[3] = bin2hex(pg_unescape_bytea($row[3]));
    equal($row, ['-4611686018427387904', '0.1', 't', bin2hex($bytes), '{a,"b,c"}', null]);
});

check('prepared', function () {
    $db = connect();
    pg_prepare($db, 'double', 'SELECT $1::int * 2');
    for ($i = 0; $i < 5; $i++) {
        equal(pg_fetch_result(pg_execute($db, 'double', [$i]), 0, 0), (string) (2 * $i));
    }
});

check('pipeline', fn () => throw new Limit("PHP's pgsql has no pipeline before PHP 8.4"));

check('copy', function () {
    $db = connect();
    pg_query($db, 'CREATE TEMP TABLE copied (n int, t text)');
    $rows = [];
    for ($i = 0; $i < 1000; $i++) {
        $rows[] = "$i\trow $i\n";
    }
    pg_copy_from($db, 'copied', $rows);
    equal(pg_copy_to($db, 'copied'), $rows);
});

check('notice', function () {
    $db = connect();
    pg_query($db, "DO $$ BEGIN RAISE NOTICE 'look here'; END $$");
    equal(pg_last_notice($db), 'NOTICE:  look here');
});

check('notify', function () {
    $db = connect();
    $channel = 'driver_' . getmypid();
    pg_query($db, "LISTEN $channel");
    value(connect(), "SELECT pg_notify($1, 'hello')::text", [$channel]);
    for ($deadline = microtime(true) + 30; microtime(true) < $deadline; usleep(10000)) {
        if ($heard = pg_get_notify($db, PGSQL_ASSOC)) {
            equal($heard['payload'], 'hello');
            return;
        }
    }
    throw new Exception('no notification within 30 s');
});

check('cancel', function () {
    [$db, $other] = [connect(), connect()];
    $pid = (int) value($db, 'SELECT pg_backend_pid()'); // pg_get_pid is pgbouncer's own number behind pgbouncer
    pg_send_query($db, 'SELECT pg_sleep(30)');
    $began = microtime(true);
    while (!asleep($other, $pid) && microtime(true) < $began + 30) {
        usleep(10000);
    }
    equal(pg_cancel_query($db), true);
    equal(value($db, 'SELECT 1'), '1');
    if (microtime(true) > $began + 20) {
        throw new Exception('the query was not cancelled in time');
    }
});

check('large', function () {
    $value = str_repeat('0123456789abcdef', 8 << 16);
    equal(value(connect(), 'SELECT $1::text', [$value]) === $value, true);
});

check('unicode', function () {
    $row = pg_fetch_row(pg_query_params(connect('OTHER_'), 'SELECT current_user, current_database(), $1::text', [TEXT]));
    equal($row, [env('OTHER_USER'), env('OTHER_DATABASE'), TEXT]);
});

check('restart', function () {
    $db = connect();
    write(['waiting' => 'restart']);
    fgets(STDIN);
    fails(fn () => pg_query($db, 'SELECT 1'), 'the connection outlived its server');
    login();
});
