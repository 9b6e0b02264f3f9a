"""Paths that lie elsewhere since their folder was moved."""

from collections.abc import Mapping

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import range_below, to_text

_BETWEEN = ">"
"""No absolute path begins like this: what is on its way meets none that is still to leave."""


def relocate_paths(connection: Connection, paths: Mapping[str, str]) -> None:
    """Give paths other names, none of which is that of a path that stays."""
    given = {
        "old": [to_text(path) for path in paths],
        "new": [_BETWEEN + to_text(path) for path in paths.values()],
        "between": _BETWEEN,
    }
    connection.execute(
        """UPDATE image_paths p SET path = moved.new
            FROM unnest(%(old)s::text[], %(new)s::text[]) AS moved (old, new) WHERE p.path = moved.old""",
        given,
    )
    connection.execute(
        "UPDATE image_paths SET path = substr(path, 2) WHERE starts_with(path, %(between)s)", given
    )
    _relocate_sidecars(connection, given)


def _relocate_sidecars(connection: Connection, given: Mapping[str, object]) -> None:
    """Let what is known of sidecars go with their photos; of photos that are known no more it gives way."""
    for table in map(sql.Identifier, ("xmp_sidecars", "xmp_changes")):
        for statement in (
            """UPDATE {table} t SET path = moved.new
                FROM unnest(%(old)s::text[], %(new)s::text[]) AS moved (old, new) WHERE t.path = moved.old""",
            """DELETE FROM {table} t USING {table} m
                WHERE starts_with(m.path, %(between)s) AND t.path = substr(m.path, 2)""",
            "UPDATE {table} SET path = substr(path, 2) WHERE starts_with(path, %(between)s)",
        ):
            connection.execute(sql.SQL(statement).format(table=table), given)


def relocate_galleries(connection: Connection, old: str, new: str) -> None:
    """Let galleries lie below another folder; what is known of one that exists there already stays."""
    given = range_below(old) | {"new": to_text(new), "between": _BETWEEN}
    # The photos of a gallery whose new place is known belong to that one from now on.
    connection.execute(
        """WITH moved AS (
                SELECT id, %(new)s || substr(path, length(%(root)s) + 1) AS target FROM galleries
                WHERE path = %(root)s OR (path >= %(below)s AND path < %(beyond)s)
            ), both_known AS (
                SELECT moved.id, g.id AS there FROM moved JOIN galleries g ON g.path = moved.target
                WHERE g.id NOT IN (SELECT id FROM moved)
            ), repointed AS (
                UPDATE image_paths p SET gallery_id = b.there FROM both_known b WHERE p.gallery_id = b.id
            )
            UPDATE galleries g
            SET path = %(between)s || CASE WHEN b.id IS NULL THEN '' ELSE '!' END || m.target
            FROM moved m LEFT JOIN both_known b ON b.id = m.id WHERE g.id = m.id""",
        given,
    )
    connection.execute("DELETE FROM galleries WHERE starts_with(path, %(between)s || '!')", given)
    connection.execute(
        "UPDATE galleries SET path = substr(path, 2) WHERE starts_with(path, %(between)s)", given
    )
