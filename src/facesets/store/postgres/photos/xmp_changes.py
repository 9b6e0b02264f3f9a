"""The contents of XMP sidecars before each run, for undo."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text, to_text
from facesets.store.postgres.photos.xmp_sidecars import KnownSidecar

RETAINED_RUNS = 10
"""Number of runs that can be undone."""


@dataclass(frozen=True, slots=True)
class Change:
    """A sidecar before and after a run.

    Attributes
    ----------
    photo
        The path of its photo.
    name
        The file name, in the photo's folder.
    packed
        Its former content, compressed; None if there was none.
    after_sha256
        None if the sidecar is removed.
    known_before
        The people we named in it and the part that was ours; None if there was none.
    """

    photo: str
    name: str
    packed: bytes | None
    after_sha256: bytes | None
    known_before: KnownSidecar | None

    @property
    def path(self) -> Path:
        """Its path."""
        return Path(self.photo).with_name(self.name)

    @property
    def before(self) -> bytes | None:
        """Its former content; None if there was none."""
        return None if self.packed is None else zlib.decompress(self.packed)


def pack(before: bytes | None) -> bytes | None:
    """Compress the content of a sidecar."""
    return None if before is None else zlib.compress(before)


def note_changes(connection: Connection, run: int, changes: Sequence[Change]) -> None:
    """Store the contents of sidecars before a run writes them."""
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO xmp_changes
                    (run_id, path, sidecar, before, after_sha256, people_before, ours_before)
                VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [
                (
                    run,
                    to_text(change.photo),
                    to_text(change.name),
                    change.packed,
                    change.after_sha256,
                    None if change.known_before is None else list(change.known_before.people),
                    None if change.known_before is None else change.known_before.ours,
                )
                for change in changes
            ],
        )


def runs_with_changes(connection: Connection) -> list[int]:
    """Return the runs that can be undone, latest first."""
    return connection.scalars(
        """SELECT id FROM runs r WHERE EXISTS (SELECT FROM xmp_changes c WHERE c.run_id = r.id)
            ORDER BY id DESC"""
    )


def count_changes(connection: Connection, run: int) -> int:
    """Count the sidecars of a run that were not restored yet."""
    return int(connection.scalar("SELECT count(*) FROM xmp_changes WHERE run_id = %s", (run,)))


def changes_of(connection: Connection, run: int, behind: str, limit: int, most_bytes: int) -> list[Change]:
    """Return some changes of a run after a path, ordered by path.

    Parameters
    ----------
    limit, most_bytes
        Maximum number, and maximum compressed content in addition to the first.
    """
    rows = connection.execute(
        """SELECT path, sidecar, before, after_sha256, people_before, ours_before FROM (
                SELECT *, sum(octet_length(before)) OVER so_far AS bytes, row_number() OVER so_far AS number
                FROM (SELECT * FROM xmp_changes WHERE run_id = %s AND path > %s ORDER BY path LIMIT %s) c
                WINDOW so_far AS (ORDER BY path)) n
            WHERE number = 1 OR coalesce(bytes, 0) <= %s ORDER BY path""",
        (run, to_text(behind), limit, most_bytes),
    )
    found = []
    for path, sidecar, before, after, people, ours in rows:
        photo, name = from_text(path), from_text(sidecar)
        known = None if people is None else KnownSidecar(photo, name, frozenset(people), ours)
        found.append(Change(photo, name, before, after, known))
    return found


def changed_by(connection: Connection, runs: Sequence[int], paths: Sequence[str]) -> set[str]:
    """Return the photos with sidecars changed by some runs that can be undone."""
    found = connection.scalars(
        "SELECT path FROM xmp_changes WHERE run_id = ANY(%s::bigint[]) AND path = ANY(%s::text[])",
        (list(runs), [to_text(path) for path in paths]),
    )
    return {from_text(path) for path in found}


def drop_changes(connection: Connection, run: int, paths: Sequence[str]) -> None:
    """Delete the undo data of a run for some photos."""
    texts = [to_text(path) for path in paths]
    connection.execute("DELETE FROM xmp_changes WHERE run_id = %s AND path = ANY(%s::text[])", (run, texts))


def drop_old_changes(connection: Connection) -> None:
    """Delete the undo data of old runs."""
    old = runs_with_changes(connection)[RETAINED_RUNS:]
    connection.execute("DELETE FROM xmp_changes WHERE run_id = ANY(%s::bigint[])", (old,))


def drop_all_changes(connection: Connection) -> None:
    """Delete all undo data, because old sidecars may name a forgotten person."""
    connection.execute("DELETE FROM xmp_changes")
