"""Logs in by each URL with the named Python driver, and uses the session. Prints a line for each: "works", or what failed."""

import asyncio
import os
import sys
import threading
import time

TABLE = "CREATE TEMP TABLE kept (n int)"
ASLEEP = "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = "


def dbapi(module, cancelled):
    def use(url):
        conn, other = module.connect(url), module.connect(url)
        other.autocommit = True
        cursor = conn.cursor()
        cursor.execute(TABLE)
        cursor.execute("INSERT INTO kept VALUES (1)")
        conn.commit()
        cursor.execute("INSERT INTO kept VALUES (2)")
        conn.rollback()
        cursor.execute("SELECT count(*), pg_backend_pid() FROM kept")
        count, pid = cursor.fetchone()
        assert count == 1, f"transaction: {count} rows"

        def cancel():
            watch, end = other.cursor(), time.monotonic() + 20
            watch.execute(ASLEEP + str(pid))
            while not watch.fetchone()[0] and time.monotonic() < end:
                time.sleep(0.01)
                watch.execute(ASLEEP + str(pid))
            conn.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        try:
            cursor.execute("SELECT pg_sleep(30)")
            raise AssertionError("cancel: the query went on")
        except cancelled:
            pass
        finally:
            thread.join()
        conn.close()
        other.close()

    return use


async def use_asyncpg(url):
    import asyncpg

    conn, other = await asyncpg.connect(url), await asyncpg.connect(url)
    await conn.execute(TABLE)
    async with conn.transaction():
        await conn.execute("INSERT INTO kept VALUES ($1)", 1)
    undone = conn.transaction()
    await undone.start()
    await conn.execute("INSERT INTO kept VALUES ($1)", 2)
    await undone.rollback()
    count = await conn.fetchval("SELECT count(*) FROM kept")
    assert count == 1, f"transaction: {count} rows"
    pid = await conn.fetchval("SELECT pg_backend_pid()")
    # asyncpg turns the cancellation of a task into a cancel request.
    task = asyncio.ensure_future(conn.execute("SELECT pg_sleep(30)"))
    while not await other.fetchval(ASLEEP + str(pid)):
        await asyncio.sleep(0.01)
    task.cancel()
    try:
        await task
        raise AssertionError("cancel: the query went on")
    except asyncio.CancelledError:
        await asyncio.wait_for(conn.fetchval("SELECT 1"), 10)
    await other.close()
    await conn.close()


def main(driver, urls):
    if driver == "psycopg2":
        import psycopg2
        import psycopg2.errors

        use = dbapi(psycopg2, psycopg2.errors.QueryCanceled)
    elif driver == "psycopg":
        import psycopg

        use = dbapi(psycopg, psycopg.errors.QueryCanceled)
    else:
        def use(url):
            asyncio.run(use_asyncpg(url))
    for url in urls or [os.environ["DATABASE_URL"]]:
        try:
            use(url)
            print("works", flush=True)
        except Exception as error:  # whatever the driver raises is the result
            print(f"{type(error).__name__}: {' '.join(str(error).split())}", flush=True)


main(sys.argv[1], sys.argv[2:])
