"""The checks of the driver matrix with psycopg2."""

import datetime
import decimal
import io
import select
import threading

import check
import psycopg2
import psycopg2.extras


def connect(password=check.PASSWORD, user=check.USER, dbname=check.DATABASE):
    tls = {"sslmode": "verify-full", "sslrootcert": check.CA_FILE} if check.CA_FILE else {"sslmode": "disable"}
    conn = psycopg2.connect(
        host=check.HOST, port=check.PORT, user=user, password=password, dbname=dbname, connect_timeout=30, **tls
    )
    conn.autocommit = True
    return conn


def ask(conn, sql, parameters=None):
    with conn.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone() if cursor.description else None


def login():
    conn = connect()
    check.equal(ask(conn, "SELECT current_user"), (check.USER,))
    conn.close()


def wrong_password():
    try:
        connect(password="not-the-one").close()
    except psycopg2.OperationalError as error:
        return check.refused(error)
    raise AssertionError("a wrong password was accepted")


def parameters():
    sent = (
        -(1 << 62), decimal.Decimal("12345678901234567890.123"), 0.1, True, psycopg2.Binary(b"\0\1\x80\xff'"),
        datetime.datetime(2024, 2, 29, 12, 34, 56, 789000, datetime.timezone.utc), ["a", "b,c"], None,
    )
    row = list(ask(
        connect(),
        "SELECT %s::bigint, %s::numeric, %s::float8, %s::bool, %s::bytea, %s::timestamptz, %s::text[], %s::text", sent,
    ))
    check.equal(bytes(row.pop(4)), b"\0\1\x80\xff'")
    check.equal(tuple(row), sent[:4] + sent[5:])
    return "psycopg2 puts parameters into the text of the query"


def prepared():
    conn = connect()
    ask(conn, "PREPARE double AS SELECT $1::int * 2")
    for i in range(5):
        check.equal(ask(conn, "EXECUTE double (%s)", (i,)), (2 * i,))
    return "by PREPARE and EXECUTE; psycopg2 has no prepared statements of its own"


def pipeline():
    conn = connect()
    with conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE batch (n int)")
        psycopg2.extras.execute_batch(cursor, "INSERT INTO batch VALUES (%s)", [(i,) for i in range(10)])
    check.equal(ask(conn, "SELECT sum(n) FROM batch"), (45,))
    return "a batch is one query of several statements"


def copy():
    conn = connect()
    ask(conn, "CREATE TEMP TABLE copied (n int, t text)")
    out = io.StringIO()
    with conn.cursor() as cursor:
        cursor.copy_expert("COPY copied FROM STDIN", io.StringIO("".join(f"{i}\trow {i}\n" for i in range(1000))))
        cursor.copy_expert("COPY copied TO STDOUT", out)
    check.equal(out.getvalue().count("row "), 1000)


def notice():
    conn = connect()
    ask(conn, check.NOTICE)
    check.equal(conn.notices, ["NOTICE:  look here\n"])


def notify():
    conn = connect()
    ask(conn, f"LISTEN {check.CHANNEL}")
    ask(connect(), "SELECT pg_notify(%s, 'hello')", (check.CHANNEL,))
    while not conn.notifies:
        if not select.select([conn], [], [], 30)[0]:
            raise TimeoutError("no notification within 30 s")
        conn.poll()
    check.equal(conn.notifies[0].payload, "hello")


def cancel():
    conn, other = connect(), connect()
    pid = ask(conn, "SELECT pg_backend_pid()")

    def cancel_when_asleep():
        check.until(lambda: ask(other, check.ASLEEP + "%s", pid)[0])
        conn.cancel()

    canceller = threading.Thread(target=cancel_when_asleep)
    canceller.start()
    try:
        ask(conn, "SELECT pg_sleep(30)")
    except psycopg2.errors.QueryCanceled:
        return
    finally:
        canceller.join()
    raise AssertionError("the query was not cancelled")


def large():
    check.equal(ask(connect(), "SELECT %s::text", (check.LARGE,))[0], check.LARGE)


def unicode():
    conn = connect(check.OTHER_PASSWORD, check.OTHER_USER, check.OTHER_DATABASE)
    row = ask(conn, "SELECT current_user, current_database(), %s::text", (check.TEXT,))
    check.equal(row, (check.OTHER_USER, check.OTHER_DATABASE, check.TEXT))


def restart():
    conn = connect()
    check.await_restart()
    try:
        ask(conn, "SELECT 1")
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        return login()
    raise AssertionError("the connection outlived its server")


libpq = psycopg2.extensions.libpq_version()
check.version(f"psycopg2 {psycopg2.__version__.split()[0]} (libpq {libpq // 10000}.{libpq % 10000})")
check.run(login, wrong_password, parameters, prepared, pipeline, copy, notice, notify, cancel, large, unicode, restart)
