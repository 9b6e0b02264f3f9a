"""What PostgreSQL's planner knows of tables: without it, it walks an index where comparing would be sooner.

The server looks at tables by itself, but some time after much was added.
"""

from psycopg import sql

from facesets.store.postgres.connection import Connection

_LEAST_PAGES = 128
"""Of 8 kB each; whatever the planner does with less takes no time."""
_GROWN = """SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
        AND pg_relation_size(c.oid) >= %(least)s * current_setting('block_size')::bigint
        AND (pg_relation_size(c.oid) >= 1.5 * c.relpages * current_setting('block_size')::bigint
            OR NOT EXISTS (SELECT FROM pg_stats s
                WHERE s.schemaname = current_schema() AND s.tablename = c.relname))
    ORDER BY 1"""
_ANALYZE = sql.SQL("ANALYZE (SKIP_LOCKED) {}")


def analyze_grown(connection: Connection) -> list[str]:
    """Let the planner look at tables that it never saw, or that grew by a half since; returns their names."""
    names = connection.scalars(_GROWN, {"least": _LEAST_PAGES})
    if names:
        connection.execute(_ANALYZE.format(sql.SQL(", ").join(map(sql.Identifier, names))))
    return names
