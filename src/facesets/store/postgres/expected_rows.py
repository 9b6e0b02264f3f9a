"""How many rows PostgreSQL expects, by its statistics, without reading them."""

from collections.abc import Mapping, Sequence

from psycopg import sql

from facesets.store.postgres.connection import Connection, only_row

_EXPLAINED = sql.SQL("EXPLAIN (FORMAT JSON) SELECT {}")
_NOTHING: Mapping[str, object] = {}


def expected_rows(
    connection: Connection, statements: Sequence[sql.Composed], given: Mapping[str, object] = _NOTHING
) -> list[float]:
    """About how many rows of one column each of some statements gives, with their parameters."""
    if not statements:
        return []
    # Of each a plan of its own, in this order.
    each = sql.SQL(", ").join(sql.SQL("ARRAY({})").format(statement) for statement in statements)
    (explained,) = only_row(connection.execute(_EXPLAINED.format(each), given, prepare=False))
    return [float(plan["Plan Rows"]) for plan in explained[0]["Plan"]["Plans"]]
