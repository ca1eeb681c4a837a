"""Prints a Parquet file as JSON Lines: decimals as plain text, times as nanoseconds.

    python3 read.py LIBRARY FILE        LIBRARY: duckdb, polars or pandas
"""

import json
import sys
from decimal import Decimal


def from_duckdb(path):
    import duckdb

    table = duckdb.from_parquet(path)
    is_time = [str(kind).startswith("TIMESTAMP") for kind in table.types]
    columns = [
        f'epoch_ns("{name}") AS "{name}"' if timed else f'"{name}"'
        for name, timed in zip(table.columns, is_time)
    ]
    for row in table.project(", ".join(columns)).fetchall():
        yield dict(zip(table.columns, row))


def from_polars(path):
    import polars

    table = polars.read_parquet(path)
    for name, kind in table.schema.items():
        if isinstance(kind, polars.Datetime):
            assert (kind.time_unit, kind.time_zone) == ("ns", "UTC"), kind
            table = table.with_columns(polars.col(name).to_physical())
    yield from table.iter_rows(named=True)


def from_pandas(path):
    import pandas

    table = pandas.read_parquet(path)
    for row in table.to_dict("records"):
        for name, value in row.items():
            if value is None or value is pandas.NaT or value != value:
                row[name] = None
            elif isinstance(value, pandas.Timestamp):
                assert str(value.tz) == "UTC", value
                row[name] = value.value
            elif isinstance(value, float):
                # A column with gaps becomes one of floats; no other number is one here.
                row[name] = int(value)
        yield row


def shown(value):
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value


library, path = sys.argv[1:]
for row in {"duckdb": from_duckdb, "polars": from_polars, "pandas": from_pandas}[library](path):
    print(json.dumps({name: shown(value) for name, value in row.items()}))
