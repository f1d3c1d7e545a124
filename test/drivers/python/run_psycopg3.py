"""The checks of the driver matrix with psycopg 3."""

import datetime
import decimal
import threading

import check
import psycopg


def connect(password=check.PASSWORD, user=check.USER, dbname=check.DATABASE):
    tls = {"sslmode": "verify-full", "sslrootcert": check.CA_FILE} if check.CA_FILE else {"sslmode": "disable"}
    return psycopg.connect(
        host=check.HOST, port=check.PORT, user=user, password=password, dbname=dbname,
        connect_timeout=30, autocommit=True, **tls,
    )


def login():
    with connect() as conn:
        check.equal(conn.execute("SELECT current_user").fetchone(), (check.USER,))


def wrong_password():
    try:
        connect(password="not-the-one").close()
    except psycopg.OperationalError as error:
        return check.refused(error)
    raise AssertionError("a wrong password was accepted")


def parameters():
    sent = (
        -(1 << 62), decimal.Decimal("12345678901234567890.123"), 0.1, True, b"\0\1\x80\xff'",
        datetime.datetime(2024, 2, 29, 12, 34, 56, 789000, datetime.timezone.utc), ["a", "b,c"], None,
    )
    with connect() as conn:
        row = conn.execute(
            "SELECT %s::bigint, %s::numeric, %s::float8, %s::bool, %s::bytea, %s::timestamptz, %s::text[], %s::text", sent
        ).fetchone()
    check.equal(row, sent)


def prepared():
    with connect() as conn:
        for i in range(5):
            check.equal(conn.execute("SELECT %s::int * 2", (i,), prepare=True).fetchone(), (2 * i,))
        check.equal(conn.execute("SELECT count(*) FROM pg_prepared_statements").fetchone(), (1,))


def pipeline():
    with connect() as conn, conn.pipeline():
        cursors = [conn.execute("SELECT %s::int", (i,)) for i in range(10)]
        check.equal(sum(cursor.fetchone()[0] for cursor in cursors), 45)


def copy():
    with connect() as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE copied (n int, t text)")
        with cursor.copy("COPY copied FROM STDIN") as copy_in:
            for i in range(1000):
                copy_in.write_row((i, f"row {i}"))
        with cursor.copy("COPY copied TO STDOUT") as copy_out:
            check.equal(sum(1 for _ in copy_out.rows()), 1000)


def notice():
    heard = []
    with connect() as conn:
        conn.add_notice_handler(lambda diagnostic: heard.append(diagnostic.message_primary))
        conn.execute(check.NOTICE)
    check.equal(heard, ["look here"])


def notify():
    with connect() as conn, connect() as other:
        conn.execute(f"LISTEN {check.CHANNEL}")
        other.execute("SELECT pg_notify(%s, 'hello')", (check.CHANNEL,))
        check.equal(next(conn.notifies()).payload, "hello")


def cancel():
    with connect() as conn, connect() as other:
        pid = conn.execute("SELECT pg_backend_pid()").fetchone()[0]

        def cancel_when_asleep():
            check.until(lambda: other.execute(check.ASLEEP + "%s", (pid,)).fetchone()[0])
            conn.cancel()

        canceller = threading.Thread(target=cancel_when_asleep)
        canceller.start()
        try:
            conn.execute("SELECT pg_sleep(30)")
        except psycopg.errors.QueryCanceled:
            return
        finally:
            canceller.join()
        raise AssertionError("the query was not cancelled")


def large():
    with connect() as conn:
        check.equal(conn.execute("SELECT %s::text", (check.LARGE,)).fetchone()[0], check.LARGE)


def unicode():
    with connect(check.OTHER_PASSWORD, check.OTHER_USER, check.OTHER_DATABASE) as conn:
        row = conn.execute("SELECT current_user, current_database(), %s::text", (check.TEXT,)).fetchone()
    check.equal(row, (check.OTHER_USER, check.OTHER_DATABASE, check.TEXT))


def restart():
    conn = connect()
    check.await_restart()
    try:
        conn.execute("SELECT 1")
    except psycopg.OperationalError:
        return login()
    raise AssertionError("the connection outlived its server")


libpq = psycopg.pq.version()
check.version(f"psycopg {psycopg.__version__} (libpq {libpq // 10000}.{libpq % 10000})")
check.run(login, wrong_password, parameters, prepared, pipeline, copy, notice, notify, cancel, large, unicode, restart)
