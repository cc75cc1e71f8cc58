"""Runs the statements of the comparison in one of the peers.

Usage: peer.py duckdb|clickhouse|datafusion PATH

Reads one JSON object a line from standard input, {"sql": "…"}, and answers each with one line:
{"seconds": …, "columns": ["…", …], "rows": [[…], …]} or {"error": "…"}. The seconds are those between the statement and its
last row, in this process; reading the request and writing the answer do not count.
"""

import json
import os
import sys
import time

THREADS = 2


def duckdb_engine(path):
    import duckdb

    connection = duckdb.connect(path, config={"threads": THREADS})
    connection.execute("SET enable_progress_bar = false")

    def run(sql):
        started = time.perf_counter()
        rows = connection.execute(sql).fetchall()
        seconds = time.perf_counter() - started
        return seconds, [column[0] for column in connection.description], rows

    return run


def clickhouse_engine(path):
    from chdb import session

    connection = session.Session(path)
    connection.query(f"SET max_threads = {THREADS}")

    def run(sql):
        started = time.perf_counter()
        text = connection.query(sql, "JSONCompactEachRowWithNames").bytes()
        seconds = time.perf_counter() - started
        columns, *rows = [json.loads(line) for line in text.splitlines()] or [[]]
        return seconds, columns, rows

    return run


def datafusion_engine(path):
    from datafusion import SessionConfig, SessionContext

    config = SessionConfig().with_target_partitions(THREADS)
    config = config.set("datafusion.execution.parquet.pushdown_filters", "true")
    config = config.set("datafusion.execution.parquet.reorder_filters", "true")
    context = SessionContext(config)
    context.sql(
        "CREATE EXTERNAL TABLE events STORED AS PARQUET "
        f"PARTITIONED BY (workspace, day) LOCATION '{path}/'"
    )

    def run(sql):
        started = time.perf_counter()
        batches = context.sql(sql).collect()
        seconds = time.perf_counter() - started
        columns = batches[0].schema.names if batches else []
        return seconds, columns, [list(row.values()) for batch in batches for row in batch.to_pylist()]

    return run


def main():
    name, path = sys.argv[1:]
    # What an engine prints, such as its progress, must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = globals()[f"{name}_engine"](path)
    print(json.dumps({"seconds": 0, "columns": [], "rows": []}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            seconds, columns, rows = run(json.loads(line)["sql"])
            answer = {"seconds": seconds, "columns": columns, "rows": rows}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), file=answers, flush=True)


main()
