"""asyncpg (a protocol of its own on transports) and psycopg (``add_reader`` on libpq's socket) against PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import free_port, program, running

if not any(find_spec(library) for library in ("asyncpg", "psycopg")):
    pytest.skip("neither asyncpg nor psycopg is installed", allow_module_level=True)


@pytest.fixture(scope="module")
def port():
    """A cluster of its own. PostgreSQL refuses to run as root, so there it runs as ``postgres``."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    initdb, postgres = program("initdb", *found), program("postgres", *found)
    who = {}
    if os.geteuid() == 0:
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("root cannot run PostgreSQL, and there is no user postgres")
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    # Not tmp_path: another user cannot enter it.
    folder = Path(tempfile.mkdtemp(prefix="hp"))
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        data = folder / "data"
        made = subprocess.run(
            [initdb, "-D", data, "-U", "tester", "-A", "trust", "--no-sync"],
            capture_output=True,
            check=False,
            cwd=folder,
            **who,
        )
        assert made.returncode == 0, made.stderr
        number = free_port()
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        with running([postgres, "-D", str(data), "-p", str(number), *options], number, cwd=folder, **who):
            yield number
    finally:
        shutil.rmtree(folder)


async def insert_both(connection, *moments):
    """All or none."""
    async with connection.transaction():
        for at in moments:
            await connection.execute("insert into readings values ($1, 0)", at)


def test_asyncpg_queries_transactions_and_copy(ours, port):
    asyncpg = pytest.importorskip("asyncpg")

    async def main():
        async with asyncpg.create_pool(
            host="127.0.0.1", port=port, user="tester", database="postgres", min_size=2, max_size=5
        ) as pool:
            await pool.execute("create table if not exists readings (at int primary key, value float8)")
            await pool.copy_records_to_table("readings", records=((at, at / 2) for at in range(100_000)))
            sums = await asyncio.gather(
                *(pool.fetchval("select sum(value) from readings where at < $1", at * 1000) for at in range(50))
            )
            async with pool.acquire() as connection:
                with pytest.raises(asyncpg.UniqueViolationError):
                    await insert_both(connection, -1, 1)
                rows = await connection.fetch("select at from readings order by at limit 3")
                async with connection.transaction():
                    total = 0
                    async for _row in connection.cursor("select * from readings"):
                        total += 1
        return sums, [row["at"] for row in rows], total

    sums, first, total = ours(main())
    assert sums[1:] == [sum(at / 2 for at in range(number * 1000)) for number in range(1, 50)]
    assert (first, total) == ([0, 1, 2], 100_000)


def test_asyncpg_notifications_and_a_query_that_is_cancelled(ours, port):
    asyncpg = pytest.importorskip("asyncpg")

    async def main():
        url = f"postgresql://tester@127.0.0.1:{port}/postgres"
        listening, speaking = await asyncpg.connect(url), await asyncpg.connect(url)
        heard = asyncio.get_running_loop().create_future()
        await listening.add_listener("news", lambda *told: heard.set_result(told[-1]))
        await speaking.execute("notify news, 'hello'")
        message = await heard
        with pytest.raises(TimeoutError):
            await speaking.execute("select pg_sleep(60)", timeout=0.1)
        again = await speaking.fetchval("select 1")
        await listening.close()
        await speaking.close()
        return message, again

    assert ours(main()) == ("hello", 1)


def test_psycopg_queries_pipelines_and_copy(ours, port):
    psycopg = pytest.importorskip("psycopg")

    async def main():
        address = f"host=127.0.0.1 port={port} user=tester dbname=postgres"
        async with await psycopg.AsyncConnection.connect(address) as connection:
            await connection.execute("create temp table marks (at int, name text)")
            async with connection.cursor() as cursor, cursor.copy("copy marks from stdin") as copy:
                for at in range(20_000):
                    await copy.write_row((at, f"mark {at}"))
            async with connection.pipeline():
                cursors = [await connection.execute("select name from marks where at = %s", (at,)) for at in range(50)]
            names = [(await cursor.fetchone())[0] for cursor in cursors]
            sleeping = asyncio.create_task(connection.execute("select pg_sleep(60)"))
            await asyncio.sleep(0.1)
            sleeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sleeping
            await connection.rollback()
            return names, (await (await connection.execute("select 1")).fetchone())[0]

    assert ours(main()) == ([f"mark {at}" for at in range(50)], 1)
