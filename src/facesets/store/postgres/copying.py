"""Transfer rows by binary COPY as arrays, and keep planner statistics current.

All rows of one COPY have the same length, because no field is null or varies in length. So a block of
rows is one structured array.

References
----------
https://www.postgresql.org/docs/current/sql-copy.html (binary format); pgvector `src/vector.c`
(`vector_send`: two int16, then the numbers).
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from facesets.records import Int64
from facesets.store.postgres.connection import Connection

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_FLOAT4_OID = 700
_ROWS_AT_A_TIME = 4096
# Small enough that the server processes one block while the next is prepared.
_ROWS_SENT_AT_A_TIME = 256
_EPOCH = np.datetime64("2000-01-01T00:00:00", "us")

INT2, INT4, INT8, FLOAT4, UUID = ">i2", ">i4", ">i8", ">f4", "V16"


def text(length: int) -> str:
    """A text or bytea field of fixed length."""
    return f"S{length}"


def float4_array(count: int) -> np.dtype[Any]:
    """A `real[]` field of fixed length."""
    element = [("length", INT4), ("value", FLOAT4)]
    head = [(name, INT4) for name in ("dimensions", "nulls", "oid", "count", "lower_bound")]
    return np.dtype([*head, ("elements", element, (count,))])


def vector(dimension: int) -> np.dtype[Any]:
    """A `vector` field of one dimension."""
    return np.dtype([("dimension", INT2), ("unused", INT2), ("value", FLOAT4, (dimension,))])


def _row_type(fields: Mapping[str, Any]) -> np.dtype[Any]:
    parts: list[tuple[str, Any]] = [("fields", INT2)]
    for name, kind in fields.items():
        parts += [(f"{name} length", INT4), (name, np.dtype(kind))]
    return np.dtype(parts)


def _packed(fields: Mapping[str, Any], columns: Mapping[str, NDArray[Any]], rows: slice) -> bytes:
    """Pack rows for COPY."""
    kind = _row_type(fields)
    count = len(next(iter(columns.values()))[rows])
    block = np.zeros(count, kind)
    block["fields"] = len(fields)
    for name in fields:
        block[f"{name} length"] = kind[name].itemsize
        values = columns[name][rows]
        members = kind[name].names or ()
        if "elements" in members:
            out = block[name]
            out["dimensions"], out["oid"], out["lower_bound"] = 1, _FLOAT4_OID, 1
            out["count"] = values.shape[1]
            out["elements"]["length"] = 4
            out["elements"]["value"] = values
        elif "value" in members:
            block[name]["dimension"] = values.shape[1]
            block[name]["value"] = values
        else:
            block[name] = values
    return block.tobytes()


def copy_in(
    connection: Connection,
    statement: LiteralString,
    fields: Mapping[str, Any],
    columns: Mapping[str, NDArray[Any]],
) -> None:
    """Run a `COPY … FROM STDIN (FORMAT BINARY)` with these columns, given in the statement's order."""
    total = len(next(iter(columns.values())))
    if not total:
        return
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_SIGNATURE)
        for start in range(0, total, _ROWS_SENT_AT_A_TIME):
            copy.write(_packed(fields, columns, slice(start, start + _ROWS_SENT_AT_A_TIME)))
        copy.write(_TRAILER)


def copy_rows(
    connection: Connection,
    statement: LiteralString,
    types: Sequence[str],
    rows: Iterable[Sequence[object]],
) -> None:
    """Run a `COPY … FROM STDIN (FORMAT BINARY)` with rows of Python values of these SQL types.

    Several times slower a row than `copy_in`, but fields may be null and differ in length.
    """
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def copy_out(
    connection: Connection,
    statement: LiteralString | sql.Composed,
    parameters: Mapping[str, object],
    fields: Mapping[str, Any],
) -> Iterator[NDArray[Any]]:
    """Run a `COPY (…) TO STDOUT (FORMAT BINARY)`; yield structured arrays, some thousand rows each.

    Scalars are fields of the result by their names; arrays and vectors are read with `values`.

    Raises
    ------
    ValueError
        A row does not have the expected form.
    """
    kind = _row_type(fields)
    waiting: list[bytes] = []
    size = 0
    first = True
    with connection.cursor() as cursor, cursor.copy(statement, parameters) as copy:
        for piece in copy:
            data = bytes(piece)
            if first:
                data, first = data[len(_SIGNATURE) :], False
            waiting.append(data)
            size += len(data)
            if size >= kind.itemsize * _ROWS_AT_A_TIME:
                whole = b"".join(waiting)
                used = len(whole) - len(whole) % kind.itemsize
                yield _checked(np.frombuffer(whole[:used], kind))
                waiting, size = [whole[used:]], len(whole) - used
    rest = b"".join(waiting)
    if not rest.endswith(_TRAILER) or (len(rest) - len(_TRAILER)) % kind.itemsize:
        raise ValueError("rows of unequal length")
    yield _checked(np.frombuffer(rest[: -len(_TRAILER)], kind))


def _checked(rows: NDArray[Any]) -> NDArray[Any]:
    """Check that every length field holds its field's length; otherwise the rows are shifted."""
    for name in rows.dtype.names or ():
        if name.endswith(" length"):
            field = rows.dtype[name.removesuffix(" length")]
            if (rows[name] != field.itemsize).any():
                raise ValueError(f"{name} varies")
    return rows


def values(rows: NDArray[Any], name: str) -> NDArray[Any]:
    """Return the numbers of an array or vector field: shape (rows, count)."""
    field = rows[name]
    members = field.dtype.names or ()
    inner = field["elements"]["value"] if "elements" in members else field["value"] if members else field
    return np.asarray(inner)


def gathered(
    blocks: Iterator[NDArray[Any]], name_types: Sequence[tuple[str, Any]]
) -> dict[str, NDArray[Any]]:
    """Return all rows of some fields as native columns."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name, _ in name_types}
    for rows in blocks:
        for name, kind in name_types:
            parts[name].append(values(rows, name).astype(kind))
    return {name: np.concatenate(parts[name]) for name, _ in name_types}


def distinct_uuids(raw: NDArray[Any]) -> tuple[list[uuid.UUID], Int64]:
    """Return the distinct UUIDs of a column in ascending order, and each row's index."""
    names = np.ascontiguousarray(raw).view("S16") if len(raw) else np.empty(0, "S16")
    _, first, index = np.unique(names, return_index=True, return_inverse=True)
    return [uuid.UUID(bytes=bytes(raw[place])) for place in first.tolist()], index.astype(np.int64)


def times(since: Int64) -> NDArray[np.datetime64]:
    """Convert PostgreSQL times to seconds; -infinity is NaT."""
    taken: NDArray[np.datetime64] = (_EPOCH + since.astype("timedelta64[us]")).astype("datetime64[s]")
    return taken


_MIN_PAGES = 128
"""Minimum table size in pages of 8 kB; smaller tables are fast with any plan."""
_GROWN = """SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
        AND pg_relation_size(c.oid) >= %(least)s * current_setting('block_size')::bigint
        AND (pg_relation_size(c.oid) >= 1.5 * c.relpages * current_setting('block_size')::bigint
            OR NOT EXISTS (SELECT FROM pg_stats s
                WHERE s.schemaname = current_schema() AND s.tablename = c.relname))
    ORDER BY 1"""
_ANALYZE = sql.SQL("ANALYZE (SKIP_LOCKED) {}")


def analyze_grown(connection: Connection) -> list[str]:
    """Analyze new tables and those that grew by half; return their names.

    Without statistics the planner walks an index although comparing is faster. The server analyzes tables by
    itself, but only some time after a large import.
    """
    names = connection.scalars(_GROWN, {"least": _MIN_PAGES})
    if names:
        connection.execute(_ANALYZE.format(sql.SQL(", ").join(map(sql.Identifier, names))))
    return names
