"""What lists tell of people: counted once, and again for those whose faces are others than they were.

Of a million faces, it takes 0.6 s of a processor to count the photos of the hundred people of a page and to
find their dates, 0.8 s for all people, and 0.2 s to compare the faces' numbers with those that were counted.
To see that nobody changed anything since then takes next to nothing. Dates that change are forgotten by a
trigger.
"""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import usual_detector
from facesets.store.postgres.people.kept_states import due_since_kept, note_kept, replacing_kept
from facesets.store.postgres.people.prototypes import refresh_prototypes

_QUICK = 1000
"""Faces of those whose prototypes are made again at once: within a tenth of a second or two."""


def refresh_totals(connection: Connection, *, quick: int = _QUICK) -> None:
    """Count the faces and photos of everybody whose faces changed since they were counted.

    Parameters
    ----------
    quick : int
        Their prototypes are made again, too, if they have so many faces or fewer.
    """
    due = due_since_kept(connection, "totals")
    changed = refresh_totals_of(connection, due.persons)
    note_kept(connection, "totals", due)
    detector = usual_detector(connection)
    if changed and detector is not None and sum(changed.values()) <= quick:
        refresh_prototypes(connection, detector, list(changed))


def refresh_totals_of(connection: Connection, persons: Sequence[UUID] | None) -> dict[UUID, int]:
    """The same for some people, or for everybody whether or not anything changed.

    Returns
    -------
    dict of UUID to int
        Whose faces are others than they were, and how many they have.
    """
    if persons is not None and not persons:
        return {}
    changed = connection.execute(_CHANGED, {"persons": None if persons is None else list(persons)}).fetchall()
    if changed:
        connection.execute(_COUNT, {"persons": [who for who, _ in changed]})
        gone = [who for who, faces in changed if not faces]
        with replacing_kept(connection):
            connection.execute("DELETE FROM person_totals WHERE person_id = ANY(%s::uuid[])", (gone,))
    return dict(changed)


_CHANGED: LiteralString = """
    WITH now AS (
        SELECT person_id, count(*) AS faces, bit_xor(hashint8extended(id, 0)) AS fingerprint
        FROM present_faces
        WHERE person_id IS NOT NULL AND (%(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
        GROUP BY person_id),
    kept AS (
        SELECT person_id, faces, fingerprint FROM person_totals
        WHERE %(persons)s::uuid[] IS NULL OR person_id = ANY(%(persons)s::uuid[]))
    SELECT person_id, coalesce(now.faces, 0) FROM now FULL JOIN kept USING (person_id)
    WHERE now.faces IS DISTINCT FROM kept.faces OR now.fingerprint IS DISTINCT FROM kept.fingerprint"""
_COUNT: LiteralString = """
    INSERT INTO person_totals (person_id, faces, fingerprint, photos, taken_from, taken_until)
    SELECT f.person_id, count(*), bit_xor(hashint8extended(f.id, 0)), count(DISTINCT f.image_id),
        min(i.taken), max(i.taken)
    FROM present_faces f JOIN images i ON i.id = f.image_id
    WHERE f.person_id = ANY(%(persons)s::uuid[]) GROUP BY f.person_id ORDER BY f.person_id
    ON CONFLICT (person_id) DO UPDATE SET faces = excluded.faces, fingerprint = excluded.fingerprint,
        photos = excluded.photos, taken_from = excluded.taken_from, taken_until = excluded.taken_until"""
