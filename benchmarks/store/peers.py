"""Other stores with the same readings and the same questions, for `history.py`."""

from __future__ import annotations

import json
import sqlite3
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

DAY_MS = 86_400_000

Row = tuple[int, int, float]
Question = Callable[[int], object]
"""Asked with the time after the last reading."""

_LATEST = "SELECT ts, value FROM readings WHERE series = 1 ORDER BY ts DESC LIMIT 1"
_DAY = "SELECT ts, value FROM readings WHERE series = 1 AND ts >= {day} AND ts < {last}"
# What a chart of 600 points needs of a long range: least, greatest, mean of each part.
_OVERVIEW = """
SELECT (ts - {first}) / {width}, min(value), max(value), avg(value) FROM readings
WHERE series = 1 AND ts >= {first} AND ts < {last} GROUP BY 1 ORDER BY 1
"""
_MANY = """
SELECT series, (ts - {day}) / 144000, min(value), max(value), avg(value) FROM readings
WHERE series <= 100 AND ts >= {day} AND ts < {last} GROUP BY 1, 2
"""


class Peer(ABC):
    """One of them."""

    name = ""

    @abstractmethod
    def __init__(self, folder: Path, given: Any) -> None: ...

    @abstractmethod
    def commit(self, rows: list[Row]) -> None:
        """Make them durable."""

    @abstractmethod
    def finish(self) -> int:
        """No more will come; what they take on disk, in bytes."""

    @abstractmethod
    def ask(self, sql: str) -> list[Any]:
        """All rows of the answer."""

    @abstractmethod
    def close(self) -> None:
        """Let go."""

    def questions(self) -> dict[str, Question]:
        """The same that our store is asked."""

        def of(template: str) -> Question:
            def ask(last_ms: int) -> object:
                first = last_ms - 365 * DAY_MS
                width = 365 * DAY_MS // 600
                return self.ask(template.format(day=last_ms - DAY_MS, first=first, last=last_ms, width=width))

            return ask

        return {
            "latest value": of(_LATEST),
            "a day, every reading": of(_DAY),
            "a year, 600 points": of(_OVERVIEW),
            "100 series, a day, 600": of(_MANY),
        }


class PlainTable(Peer):
    """SQLite as one would begin: a row a reading, in the order of arrival, and an index."""

    name = "plain table"

    def __init__(self, folder: Path, given: Any) -> None:
        self._path = folder / "plain.db"
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE readings (series INTEGER, ts INTEGER, value REAL)")
        self._connection.execute("CREATE INDEX by_series ON readings (series, ts)")

    def commit(self, rows: list[Row]) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO readings VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def finish(self) -> int:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return self._path.stat().st_size

    def ask(self, sql: str) -> list[Any]:
        return self._connection.execute(sql).fetchall()

    def close(self) -> None:
        self._connection.close()


class DuckDb(Peer):
    """DuckDB, one transaction a batch."""

    name = "duckdb"

    def __init__(self, folder: Path, given: Any) -> None:
        import duckdb  # type: ignore[import-not-found, unused-ignore]

        self._path = folder / "peer.duckdb"
        self._connection = duckdb.connect(str(self._path))
        self._connection.execute("CREATE TABLE readings (series INTEGER, ts BIGINT, value DOUBLE)")

    def commit(self, rows: list[Row]) -> None:
        # Its prepared `executemany` is a hundred times slower than one statement with lists.
        series, times, values = (list(column) for column in zip(*rows, strict=True))
        self._connection.execute(
            "INSERT INTO readings SELECT unnest(?::INTEGER[]), unnest(?::BIGINT[]), unnest(?::DOUBLE[])",
            [series, times, values],
        )

    def finish(self) -> int:
        self._connection.execute("CHECKPOINT")
        return self._path.stat().st_size

    def ask(self, sql: str) -> list[Any]:
        found: list[Any] = self._connection.execute(sql.replace(") / ", ") // ")).fetchall()
        return found

    def close(self) -> None:
        self._connection.close()


class Postgres(Peer):
    """PostgreSQL with a primary key by series and time, by COPY."""

    name = "postgresql"

    def __init__(self, folder: Path, given: Any) -> None:
        import psycopg  # type: ignore[import-not-found, unused-ignore]

        self._connection = psycopg.connect(given.postgres)
        self._connection.execute("DROP TABLE IF EXISTS readings")
        self._connection.execute(
            "CREATE TABLE readings (series integer, ts bigint, value double precision, PRIMARY KEY (series, ts))"
        )
        self._connection.commit()

    def commit(self, rows: list[Row]) -> None:
        with self._connection.cursor() as cursor, cursor.copy("COPY readings FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self._connection.commit()

    def finish(self) -> int:
        self._connection.execute("ANALYZE readings")
        self._connection.commit()
        return int(self.ask("SELECT pg_total_relation_size('readings')")[0][0])

    def ask(self, sql: str) -> list[Any]:
        found: list[Any] = self._connection.execute(sql).fetchall()
        self._connection.commit()
        return found

    def close(self) -> None:
        self._connection.execute("DROP TABLE readings")
        self._connection.commit()
        self._connection.close()


class Influx(Peer):
    """InfluxDB 1.x over HTTP, its line protocol, a tag a series. It is quoted: ``series`` is a word of the language."""

    name = "influxdb 1"

    def __init__(self, folder: Path, given: Any) -> None:
        self._address = given.influx
        self._query("DROP DATABASE hardpoint_bench")
        self._query("CREATE DATABASE hardpoint_bench")

    def commit(self, rows: list[Row]) -> None:
        body = "\n".join(f"readings,series={series} value={value} {ts}" for series, ts, value in rows).encode()
        request = urllib.request.Request(f"{self._address}/write?db=hardpoint_bench&precision=ms", data=body)
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def finish(self) -> int:
        found = self.ask("SHOW STATS FOR 'shard'")
        sizes = [series for each in found for series in each.get("series", []) if series["name"] == "shard"]
        return sum(
            row[series["columns"].index("diskBytes")]
            for series in sizes
            if series["tags"]["database"] == "hardpoint_bench"
            for row in series["values"]
        )

    def ask(self, sql: str) -> list[Any]:
        return self._query(sql)

    def close(self) -> None:
        self._query("DROP DATABASE hardpoint_bench")

    def questions(self) -> dict[str, Question]:
        def of(template: str) -> Question:
            def ask(last_ms: int) -> object:
                day, year = last_ms - DAY_MS, last_ms - 365 * DAY_MS
                return self.ask(template.format(day=day, first=year, last=last_ms))

            return ask

        return {
            "latest value": of("SELECT last(value) FROM readings WHERE \"series\" = '1'"),
            "a day, every reading": of(
                "SELECT value FROM readings WHERE \"series\" = '1' AND time >= {day}ms AND time < {last}ms"
            ),
            "a year, 600 points": of(
                "SELECT min(value), max(value), mean(value) FROM readings WHERE \"series\" = '1' "
                "AND time >= {first}ms AND time < {last}ms GROUP BY time(876m)"
            ),
            "100 series, a day, 600": of(
                'SELECT min(value), max(value), mean(value) FROM readings WHERE "series" =~ /^([1-9]|[1-9][0-9]|100)$/ '
                'AND time >= {day}ms AND time < {last}ms GROUP BY "series", time(144s)'
            ),
        }

    def _query(self, text: str) -> list[Any]:
        data = urllib.parse.urlencode({"q": text, "db": "hardpoint_bench"}).encode()
        with urllib.request.urlopen(f"{self._address}/query", data=data) as answer:
            found: list[Any] = json.load(answer)["results"]
        return found


PEERS: dict[str, type[Peer]] = {"sqlite": PlainTable, "duckdb": DuckDb, "postgres": Postgres, "influx": Influx}
