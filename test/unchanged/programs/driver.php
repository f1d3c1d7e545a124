<?php
// Logs in by each URL with PHP's pgsql, and uses the session. Prints a line for each: "works", or what failed.

set_error_handler(function (int $level, string $message): bool {
    throw new ErrorException($message, 0, $level);
});

function value(PgSql\Connection $db, string $sql, array $parameters = []): ?string
{
    return pg_fetch_result(pg_query_params($db, $sql, $parameters), 0, 0);
}

function asleep(PgSql\Connection $db, string $pid): bool
{
    return value($db, "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1", [$pid]) === 't';
}

function works(string $url): void
{
    $db = pg_connect($url, PGSQL_CONNECT_FORCE_NEW);
    $other = pg_connect($url, PGSQL_CONNECT_FORCE_NEW);
    pg_query($db, 'CREATE TEMP TABLE kept (n int)');
    foreach (['BEGIN', 'INSERT INTO kept VALUES (1)', 'COMMIT', 'BEGIN', 'INSERT INTO kept VALUES (2)', 'ROLLBACK'] as $sql) {
        pg_query($db, $sql);
    }
    $count = value($db, 'SELECT count(*) FROM kept');
    if ($count !== '1') {
        throw new Exception("transaction: $count rows");
    }
    $pid = value($db, 'SELECT pg_backend_pid()');
    pg_send_query($db, 'SELECT pg_sleep(30)');
    $began = microtime(true);
    while (!asleep($other, $pid) && microtime(true) < $began + 20) {
        usleep(10000);
    }
    pg_cancel_query($db);
    value($db, 'SELECT 1');
    if (microtime(true) > $began + 20) {
        throw new Exception('cancel: the query went on');
    }
    pg_close($db);
    pg_close($other);
}

foreach (array_slice($argv, 1) ?: [getenv('DATABASE_URL')] as $url) {
    try {
        works($url);
        echo "works\n";
    } catch (Throwable $e) {
        echo preg_replace('/\s+/', ' ', get_class($e) . ': ' . $e->getMessage()), "\n";
    }
}
