"""Pages and logs of the server without what was deleted: tables rewritten, old write-ahead log removed."""

import time
from typing import LiteralString

from psycopg import sql

from facesets.store.postgres.connection import Connection

_NOT_OF_PEOPLE = [
    "schema_migrations",
    "models",
    "detectors",
    "galleries",
    "images",
    "image_paths",
    "image_embeddings",
    "face_scans",
    "tag_categories",
    "tags",
    "tag_vectors",
    "image_tags",
]
_WAIT_S = 5.0
_MOST_SEGMENTS = 1024


def rewrite_tables(connection: Connection) -> list[str]:
    """Write every table again that may have held something of people, with its indexes; in no transaction.

    Returns
    -------
    list of str
        Those that this user may not rewrite.
    """
    connection.execute("SELECT set_config('maintenance_work_mem', '512MB', false)")
    tables = connection.scalars(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> ALL(%s)",
        (_NOT_OF_PEOPLE,),
    )
    rewrite = sql.SQL("VACUUM (FULL, ANALYZE) {}")
    refused = [table for table in tables if not _rewritten(connection, rewrite, sql.Identifier(table))]
    # Samples of columns are kept there.
    statistic = sql.Identifier("pg_catalog", "pg_statistic")
    if not _rewritten(connection, sql.SQL("VACUUM FULL {}"), statistic):
        refused.append("pg_statistic")
    return refused


def _rewritten(connection: Connection, statement: sql.SQL, table: sql.Identifier) -> bool:
    """Whether a table has a new file afterwards: the server only warns of what this user may not rewrite."""
    name = table.as_string(connection)
    before = connection.scalar("SELECT pg_relation_filenode(%s::regclass)", (name,))
    connection.execute(statement.format(table))
    return bool(connection.scalar("SELECT pg_relation_filenode(%s::regclass)", (name,)) != before)


def remove_old_log(connection: Connection) -> bool:
    """Let the server remove the write-ahead log so far, in no transaction; whether it could be done.

    A server keeps segments of it under new names to write over them later: they are left behind one by one,
    which fills them with zeros, and are not kept any more.
    """
    if not connection.scalar("SELECT usesuper FROM pg_user WHERE usename = current_user"):
        return False
    connection.execute("ALTER SYSTEM SET wal_recycle = off")
    try:
        _reload(connection, "off")
        connection.execute("CHECKPOINT")
        until = _last_segment(connection)
        for _ in range(_MOST_SEGMENTS):
            connection.execute("CHECKPOINT")
            if _current_segment(connection) > until:
                break
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
        return _first_segment(connection) > until
    finally:
        connection.execute("ALTER SYSTEM RESET wal_recycle")
        connection.execute("SELECT pg_reload_conf()")


def _reload(connection: Connection, wanted: str) -> None:
    connection.execute("SELECT pg_reload_conf()")
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        if connection.scalar("SHOW wal_recycle") == wanted:
            return
        time.sleep(0.05)


def _current_segment(connection: Connection) -> str:
    return str(connection.scalar("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 9)"))


def _last_segment(connection: Connection) -> str:
    return _segment(
        connection, "SELECT max(substr(name, 9)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
    )


def _first_segment(connection: Connection) -> str:
    return _segment(
        connection, "SELECT min(substr(name, 9)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
    )


def _segment(connection: Connection, query: LiteralString) -> str:
    return str(connection.scalar(query))
