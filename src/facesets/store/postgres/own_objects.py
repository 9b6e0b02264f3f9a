"""What of a database is the library's, which may share it with other programs: their objects survive."""

from collections.abc import Iterable
from dataclasses import dataclass

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.migrate import Migration, applied_names, refuse_later
from facesets.store.postgres.queue.schema import is_made

_RELATIONS = ("TABLE", "VIEW", "SEQUENCE")


def names_of(migrations: Iterable[Migration]) -> tuple[list[str], list[str]]:
    """Names of the tables, views and sequences that these make, and of the functions."""
    relations, functions = ["schema_migrations"], []
    for migration in migrations:
        relations += migration.made(*_RELATIONS)
        functions += migration.made("FUNCTION")
    return relations, functions


def drop_library(connection: Connection, migrations: list[Migration], label: str) -> None:
    """Drop what the migrations made that were applied here, and the queue; nothing that belongs to others.

    What is ours is known by its name: a name of a later migration may be another program's. Nothing cascades,
    so that the server refuses where an object of others depends on ours.

    Raises
    ------
    WrongUsage
        A later program made the library, or the tables are another program's.
    """
    applied = applied_names(connection)
    refuse_later(applied, migrations, label)
    relations, functions = names_of(m for m in migrations if m.number in applied)
    named = {"relations": relations, "functions": functions, "queue": is_made(connection)}
    for statement in connection.scalars(_DROPS, named):
        # Names are quoted by the server.
        connection.execute(statement.encode())


# Triggers first: functions of a queue need its tables, whose triggers need its functions.
_DROPS = """
    WITH relations AS (
        SELECT oid, oid::regclass AS name, relkind FROM pg_class
        WHERE oid IN (SELECT to_regclass(name) FROM unnest(%(relations)s::text[]) AS name)
            OR (%(queue)s AND relnamespace = to_regnamespace('queue'))
    ), routines AS (
        SELECT oid::regprocedure AS name FROM pg_proc
        WHERE oid IN (SELECT to_regproc(name) FROM unnest(%(functions)s::text[]) AS name)
            OR (%(queue)s AND pronamespace = to_regnamespace('queue'))
    ), drops AS (
        SELECT 1 AS place, format('DROP TRIGGER %%I ON %%s', tgname, r.name) AS statement
        FROM pg_trigger JOIN relations r ON r.oid = tgrelid WHERE NOT tgisinternal
        UNION ALL SELECT 2, 'DROP ROUTINE ' || string_agg(name::text, ', ') FROM routines
        UNION ALL SELECT 3, 'DROP VIEW ' || string_agg(name::text, ', ') FROM relations WHERE relkind = 'v'
        UNION ALL SELECT 4, 'DROP TABLE ' || string_agg(name::text, ', ') FROM relations
            WHERE relkind IN ('r', 'p')
        UNION ALL SELECT 5, 'DROP SEQUENCE IF EXISTS ' || string_agg(name::text, ', ') FROM relations
            WHERE relkind = 'S'
        UNION ALL SELECT 6, 'DROP TYPE ' || string_agg(t.oid::regtype::text, ', ')
            FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE %(queue)s AND typnamespace = to_regnamespace('queue')
                AND (typtype IN ('e', 'd') OR relkind = 'c')
        UNION ALL SELECT 7, 'DROP SCHEMA queue' WHERE %(queue)s
    )
    SELECT statement FROM drops WHERE statement IS NOT NULL ORDER BY place, statement"""


def holds_others(connection: Connection) -> bool:
    """Whether there is an object or a schema in the database besides those of extensions and the server's."""
    return bool(connection.scalar(_OTHERS))


_OTHERS = """
    WITH schemas AS (
        SELECT oid, nspname FROM pg_namespace
        WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
    ), objects AS (
        SELECT 'pg_class'::regclass AS catalog, c.oid
            FROM pg_class c JOIN schemas s ON s.oid = relnamespace WHERE relkind <> 'i'
        UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p JOIN schemas s ON s.oid = pronamespace
        UNION ALL SELECT 'pg_type'::regclass, t.oid
            FROM pg_type t JOIN schemas s ON s.oid = typnamespace WHERE typtype IN ('e', 'd', 'r')
        UNION ALL SELECT 'pg_namespace'::regclass, oid FROM schemas WHERE nspname <> 'public'
    )
    SELECT EXISTS (SELECT FROM objects o WHERE NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = o.catalog AND objid = o.oid AND deptype = 'e'))"""


def closed_tables(connection: Connection, migrations: list[Migration]) -> dict[str, str]:
    """Tables of others that this user may not read: patterns that mean these alone, to names."""
    rows = connection.execute(
        """SELECT format('"%%s"."%%s"', replace(nspname, '"', '""'), replace(relname, '"', '""')),
                nspname || '.' || relname
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname NOT IN ('information_schema', 'queue')
                AND nspname NOT LIKE 'pg\\_%%'
                AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
                AND c.oid NOT IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name
                    WHERE to_regclass(name) IS NOT NULL)""",
        (names_of(migrations)[0],),
    )
    return dict(rows.fetchall())


@dataclass(frozen=True, slots=True)
class Rights:
    """What a database's user may do with the library there.

    Attributes
    ----------
    schema : str
        Where tables would be made; empty where the search path names no schema that is there.
    forbidden : sequence of str
        Tables that it may not read, change or empty, and sequences that it may not use.
    owners : sequence of str
        Who has tables that it is no owner of.
    """

    user: str
    schema: str
    may_create: bool
    is_read_only: bool
    tables: int
    forbidden: list[str]
    owners: list[str]


def privileges_of(connection: Connection, migrations: list[Migration]) -> Rights:
    """What the user of this session may do with the tables and sequences that the migrations made."""
    row = connection.one(
        """WITH named AS (
                SELECT to_regclass(name) AS oid FROM unnest(%s::text[]) AS name
            ), relations AS (
                SELECT oid, relowner, relkind FROM pg_class
                WHERE oid IN (SELECT oid FROM named) OR (relkind = 'S' AND oid IN (
                    SELECT objid FROM pg_depend JOIN named ON refobjid = oid
                    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                        AND deptype IN ('a', 'i')))
            )
            SELECT quote_ident(current_user), coalesce(quote_ident(current_schema()), ''),
                coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
                current_setting('transaction_read_only')::boolean,
                count(*) FILTER (WHERE relkind <> 'S'),
                coalesce(array_agg(oid::regclass::text ORDER BY oid) FILTER (WHERE NOT CASE relkind
                    WHEN 'S' THEN has_sequence_privilege(oid, 'USAGE')
                        AND has_sequence_privilege(oid, 'SELECT')
                    WHEN 'v' THEN has_table_privilege(oid, 'SELECT')
                    ELSE has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
                        AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
                        AND has_table_privilege(oid, 'TRUNCATE') END), '{}'),
                coalesce(array_agg(DISTINCT pg_get_userbyid(relowner)::text)
                    FILTER (WHERE NOT pg_has_role(relowner, 'USAGE')), '{}')
            FROM relations""",
        (names_of(migrations)[0],),
    )
    return Rights(*row)
