"""The checks of the driver matrix with asyncpg."""

import asyncio
import datetime
import decimal
import io
import ssl

import asyncpg
import check


async def connect(password=check.PASSWORD, user=check.USER, database=check.DATABASE):
    context = ssl.create_default_context(cafile=check.CA_FILE) if check.CA_FILE else False
    return await asyncpg.connect(
        host=check.HOST, port=check.PORT, user=user, password=password, database=database,
        timeout=30, command_timeout=60, ssl=context,
    )


async def login():
    conn = await connect()
    check.equal(await conn.fetchval("SELECT current_user"), check.USER)
    await conn.close()


async def wrong_password():
    try:
        await (await connect(password="not-the-one")).close()
    except asyncpg.PostgresError as error:
        return check.refused(error)
    raise AssertionError("a wrong password was accepted")


async def parameters():
    sent = (
        -(1 << 62), decimal.Decimal("12345678901234567890.123"), 0.1, True, b"\0\1\x80\xff'",
        datetime.datetime(2024, 2, 29, 12, 34, 56, 789000, datetime.timezone.utc), ["a", "b,c"], None,
    )
    conn = await connect()
    row = await conn.fetchrow(
        "SELECT $1::bigint, $2::numeric, $3::float8, $4::bool, $5::bytea, $6::timestamptz, $7::text[], $8::text", *sent
    )
    check.equal(tuple(row), sent)
    await conn.close()


async def prepared():
    conn = await connect()
    statement = await conn.prepare("SELECT $1::int * 2")
    for i in range(5):
        check.equal(await statement.fetchval(i), 2 * i)
    await conn.close()


async def pipeline():
    conn = await connect()
    await conn.execute("CREATE TEMP TABLE batch (n int)")
    await conn.executemany("INSERT INTO batch VALUES ($1)", [(i,) for i in range(10)])
    check.equal(await conn.fetchval("SELECT sum(n) FROM batch"), 45)
    await conn.close()


async def copy():
    conn = await connect()
    await conn.execute("CREATE TEMP TABLE copied (n int, t text)")
    await conn.copy_records_to_table("copied", records=[(i, f"row {i}") for i in range(1000)])
    out = io.BytesIO()
    await conn.copy_from_table("copied", output=out)
    check.equal(out.getvalue().count(b"row "), 1000)
    await conn.close()


async def notice():
    conn = await connect()
    heard = asyncio.get_running_loop().create_future()
    conn.add_log_listener(lambda _, message: heard.set_result(message.message))
    await conn.execute(check.NOTICE)
    check.equal(await asyncio.wait_for(heard, 30), "look here")
    await conn.close()


async def notify():
    conn, other = await connect(), await connect()
    heard = asyncio.get_running_loop().create_future()
    await conn.add_listener(check.CHANNEL, lambda *arguments: heard.set_result(arguments[3]))
    await other.execute("SELECT pg_notify($1, 'hello')", check.CHANNEL)
    check.equal(await asyncio.wait_for(heard, 30), "hello")
    await other.close()
    await conn.close()


async def cancel():
    """asyncpg turns the cancellation of a task into a cancel request."""
    conn, other = await connect(), await connect()
    pid = await conn.fetchval("SELECT pg_backend_pid()")
    task = asyncio.ensure_future(conn.execute("SELECT pg_sleep(30)"))
    while not await other.fetchval(check.ASLEEP + "$1", pid):
        await asyncio.sleep(0.01)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        # The connection goes on only when the server has ended the query.
        check.equal(await asyncio.wait_for(conn.fetchval("SELECT 1"), 10), 1)
        await other.close()
        await conn.close()
        return
    raise AssertionError("the query was not cancelled")


async def large():
    conn = await connect()
    check.equal(await conn.fetchval("SELECT $1::text", check.LARGE), check.LARGE)
    await conn.close()


async def unicode():
    try:
        conn = await connect(check.OTHER_PASSWORD, check.OTHER_USER, check.OTHER_DATABASE)
    except asyncpg.InternalClientError as error:
        if "'ascii' codec" not in str(error):
            raise
        raise check.Limit("asyncpg 0.27 cannot send a cleartext password that is not ASCII, and a bridge asks for one")
    row = await conn.fetchrow("SELECT current_user, current_database(), $1::text", check.TEXT)
    check.equal(tuple(row), (check.OTHER_USER, check.OTHER_DATABASE, check.TEXT))
    await conn.close()


async def restart():
    conn = await connect()
    await asyncio.to_thread(check.await_restart)
    try:
        await conn.execute("SELECT 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return await login()
    raise AssertionError("the connection outlived its server")


def on_loop(do):
    def run():
        return asyncio.run(do())

    run.__name__ = do.__name__
    return run


check.version(f"asyncpg {asyncpg.__version__}")
check.run(*map(on_loop, (
    login, wrong_password, parameters, prepared, pipeline, copy, notice, notify, cancel, large, unicode, restart,
)))
