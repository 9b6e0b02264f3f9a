"""Groups of faces without a name: unnamed people, and clusters that are not a person yet.

Both are identified by a cluster id: a person's is `person_<uuid>`, regardless of the earlier clusters of the
faces. All other unassigned faces are loose: in no cluster, or in one named after another person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.people_list import refresh_totals

OF_PERSON = "person_"
"""Prefix of the id of a person as a cluster."""


@dataclass(frozen=True, slots=True)
class FaceGroup:
    """Faces that belong together.

    Attributes
    ----------
    name : str or None
        The name of the person.
    sample : list of (face, sha256)
        The best five faces, and the contents of their photos.
    quality : float
        Mean quality of all faces.
    version : int
        From `version_of_person` or `version_of_cluster`.
    """

    id: str
    person: UUID | None
    name: str | None
    faces: int
    sample: list[tuple[int, str]]
    quality: float
    version: int


@dataclass(frozen=True, slots=True)
class LooseFace:
    """An unassigned face, and its photo's content."""

    id: int
    sha256: str
    quality: float


@dataclass(frozen=True, slots=True)
class GroupsPage:
    """Some groups, the largest first, and how many there are in total.

    Attributes
    ----------
    after : (faces, id) or None
        The group after which the next page begins; None on the last page.
    """

    groups: list[FaceGroup]
    total: int
    after: tuple[int, str] | None


def groups_page(
    connection: Connection,
    *,
    limit: int,
    after: tuple[int, str] | None = None,
    offset: int = 0,
    labeled: bool = False,
) -> GroupsPage:
    """Return some groups that are not hidden; with `labeled` also named people."""
    refresh_totals(connection)
    faces, group = after or (2**31, "")
    rows = connection.execute(
        _PLACES, {"labeled": labeled, "faces": faces, "after": group, "limit": limit + 1, "offset": offset}
    ).fetchall()
    places = [(faces, group, person) for _, faces, group, person in rows if group is not None]
    last = places[limit - 1][:2] if len(places) > limit else None
    return GroupsPage(_closely(connection, places[:limit]), int(rows[0][0]), last)


# Loose faces in a cluster named after a person are not a group. Even an empty page has a row: it holds the
# total.
_PLACES: LiteralString = """
    WITH every AS MATERIALIZED (
        SELECT t.faces, 'person_' || p.id AS id, p.id AS person FROM person_totals t
            JOIN persons p ON p.id = t.person_id
        WHERE p.status = 'active'
            AND (%(labeled)s OR NOT EXISTS (SELECT FROM person_names n WHERE n.person_id = p.id))
        UNION ALL
        SELECT c.faces, c.id, NULL FROM (SELECT cluster AS id, count(*) AS faces FROM present_faces
            WHERE person_id IS NULL AND cluster IS NOT NULL GROUP BY cluster) AS c
        WHERE NOT EXISTS (SELECT FROM clusters k WHERE k.id = c.id AND k.hidden)
            AND NOT EXISTS (SELECT FROM persons p WHERE 'person_' || p.id = c.id))
    SELECT counted.total, page.* FROM (SELECT count(*) AS total FROM every) AS counted LEFT JOIN (
        SELECT * FROM every WHERE (-faces, id COLLATE "C") > (-%(faces)s::bigint, %(after)s)
        ORDER BY faces DESC, id COLLATE "C" LIMIT %(limit)s OFFSET %(offset)s) AS page ON true
    ORDER BY page.faces DESC, page.id COLLATE "C" """


def _closely(connection: Connection, places: Sequence[tuple[int, str, UUID | None]]) -> list[FaceGroup]:
    """Return these groups, without those that lost their faces meanwhile."""
    found = {}
    for statement, ids in (
        (_OF_PEOPLE, [person for _, _, person in places if person is not None]),
        (_OF_CLUSTERS, [group for _, group, person in places if person is None]),
    ):
        if ids:
            for row in connection.execute(statement, (ids,)):
                group, person, name, faces, quality, version, sample, photos = row
                found[group] = FaceGroup(
                    group, person, name, faces, list(zip(sample, photos, strict=True)), quality, version
                )
    return [found[group] for _, group, _ in places if group in found]


_OF_PEOPLE: LiteralString = """
    SELECT 'person_' || w.id, w.id,
        (SELECT n.name FROM person_names n WHERE n.person_id = w.id ORDER BY n.id LIMIT 1),
        best.faces, round(best.quality::numeric, 4)::float8,
        coalesce((SELECT max(s.step_id) FROM step_persons s WHERE s.person_id = w.id), 0),
        best.sample, array(SELECT i.sha256 FROM unnest(best.images) WITH ORDINALITY AS s (id, place)
            JOIN images i ON i.id = s.id ORDER BY s.place)
    FROM unnest(%s::uuid[]) AS w (id) CROSS JOIN LATERAL (
        SELECT count(*) AS faces, avg(quality) AS quality,
            (array_agg(id ORDER BY quality DESC, id))[1:5] AS sample,
            (array_agg(image_id ORDER BY quality DESC, id))[1:5] AS images
        FROM present_faces WHERE person_id = w.id) AS best
    WHERE best.faces > 0"""
_OF_CLUSTERS: LiteralString = """
    SELECT w.id, NULL, NULL, total.faces, round(total.quality::numeric, 4)::float8, total.version,
        best.sample, best.photos
    FROM unnest(%s::text[]) AS w (id) CROSS JOIN LATERAL (
        SELECT count(*) AS faces, avg(quality) AS quality,
            coalesce(sum(hashint8(id)::bigint), 0)::bigint AS version
        FROM present_faces WHERE person_id IS NULL AND cluster = w.id) AS total
    CROSS JOIN LATERAL (
        SELECT array_agg(s.id ORDER BY s.quality DESC, s.id) AS sample,
            array_agg(i.sha256 ORDER BY s.quality DESC, s.id) AS photos
        FROM (SELECT id, quality, image_id FROM present_faces WHERE person_id IS NULL AND cluster = w.id
                ORDER BY quality DESC, id LIMIT 5) AS s JOIN images i ON i.id = s.image_id) AS best
    WHERE total.faces > 0"""


def faces_in_cluster(connection: Connection, cluster: str, *, limit: int, offset: int = 0) -> list[int]:
    """Return the unassigned faces of a cluster, best first; all faces if none is unassigned."""
    return connection.scalars(
        """SELECT id FROM present_faces WHERE cluster = %(cluster)s AND (person_id IS NULL OR NOT EXISTS (
                SELECT FROM present_faces WHERE cluster = %(cluster)s AND person_id IS NULL))
            ORDER BY quality DESC, id LIMIT %(limit)s OFFSET %(offset)s""",
        {"cluster": cluster, "limit": limit, "offset": offset},
    )


def loose_faces(
    connection: Connection, *, limit: int, after: tuple[float, int] | None = None
) -> list[LooseFace]:
    """Return unassigned faces in no group, best first.

    Parameters
    ----------
    after : (quality, face), optional
        Only faces after this one.
    """
    quality, face = after or (float("inf"), 0)
    rows = connection.execute(_LOOSE, {"quality": quality, "face": face, "limit": limit})
    return [LooseFace(*row) for row in rows]


# In the order of an index that PostgreSQL uses only if the cluster, which is null, comes first.
_LOOSE: LiteralString = """
    WITH loose AS (
        (SELECT id, image_id, quality FROM present_faces
            WHERE person_id IS NULL AND cluster IS NULL AND quality <= %(quality)s::real
                AND (quality < %(quality)s::real OR id > %(face)s)
            ORDER BY cluster, quality DESC, id LIMIT %(limit)s)
        UNION ALL
        (SELECT id, image_id, quality FROM present_faces
            WHERE person_id IS NULL AND cluster = ANY(ARRAY(
                    SELECT 'person_' || p.id FROM persons p EXCEPT SELECT id FROM clusters WHERE hidden))
                AND quality <= %(quality)s::real AND (quality < %(quality)s::real OR id > %(face)s)
            ORDER BY quality DESC, id LIMIT %(limit)s))
    SELECT l.id, i.sha256, l.quality FROM loose l JOIN images i ON i.id = l.image_id
    ORDER BY l.quality DESC, l.id LIMIT %(limit)s"""
