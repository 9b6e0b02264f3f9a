"""Groups of faces that wait for a name: people without one, and clusters that are nobody yet.

Both go by the id of a cluster: a person's is `person_<uuid>`, whatever clusters the faces were in before they
became one. The others are loose faces of nobody: in no cluster, or in one called after somebody they are not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.changes import ChangedPeople

OF_PERSON = "person_"
"""How the id of a person as a cluster begins."""


@dataclass(frozen=True, slots=True)
class GroupSize:
    """A group, and how many faces it has.

    Attributes
    ----------
    id : str
        Of the cluster; `person_<uuid>` for a person.
    """

    id: str
    person: UUID | None
    faces: int

    @property
    def place(self) -> tuple[int, str]:
        """Lists are in this order: the largest first."""
        return -self.faces, self.id


@dataclass(frozen=True, slots=True)
class GroupSizes:
    """All groups, the largest first, and the clusters of loose faces that are called after somebody."""

    groups: list[GroupSize]
    loose: list[str]


@dataclass(frozen=True, slots=True)
class FaceGroup:
    """Faces that belong together.

    Attributes
    ----------
    name : str or None
        What the person goes by.
    sample : list of (face, sha256)
        The best five faces, and what is in their photos' files.
    quality : float
        Mean of all faces.
    version : int
        As `version_of_person` or `version_of_cluster` say.
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
    """A face of nobody, and what is in its photo's file."""

    id: int
    sha256: str
    quality: float


_SIZES: LiteralString = """
    SELECT 'person_' || p.id, p.id, f.faces
    FROM (SELECT person_id, count(*) AS faces FROM present_faces WHERE person_id IS NOT NULL
            AND (%(all)s OR person_id = ANY(%(persons)s::uuid[])) GROUP BY person_id) AS f
        JOIN persons p ON p.id = f.person_id
    WHERE p.status = 'active'
        AND (%(labeled)s OR NOT EXISTS (SELECT FROM person_names n WHERE n.person_id = p.id))
    UNION ALL
    SELECT c.cluster, NULL, CASE WHEN p.id IS NULL THEN c.faces ELSE 0 END
    FROM (SELECT cluster, count(*) AS faces FROM present_faces
            WHERE person_id IS NULL AND cluster IS NOT NULL
                AND (%(all)s OR cluster = ANY(%(clusters)s::text[])) GROUP BY cluster) AS c
        LEFT JOIN clusters k ON k.id = c.cluster LEFT JOIN persons p ON c.cluster = 'person_' || p.id
    WHERE k.hidden IS NOT TRUE"""


def group_sizes(
    connection: Connection, *, labeled: bool = False, only: ChangedPeople | None = None
) -> GroupSizes:
    """All groups that are not hidden, or these; with `labeled` also people who have a name."""
    # A person's cluster stands for somebody or for loose faces as long as the person is there.
    persons = [] if only is None else list(only.persons)
    clusters = [] if only is None else [*only.clusters, *(f"{OF_PERSON}{person}" for person in persons)]
    values = {"labeled": labeled, "all": only is None, "persons": persons, "clusters": clusters}
    found = [GroupSize(*row) for row in connection.execute(_SIZES, values)]
    return GroupSizes(
        sorted((each for each in found if each.faces), key=lambda each: each.place),
        [each.id for each in found if not each.faces],
    )


def load_groups(connection: Connection, sizes: Sequence[GroupSize]) -> list[FaceGroup]:
    """These groups closely; those whose faces went elsewhere meanwhile are left out."""
    found = {each.id: each for each in _groups(connection, sizes)}
    return [found[each.id] for each in sizes if each.id in found]


def _groups(connection: Connection, sizes: Sequence[GroupSize]) -> Iterator[FaceGroup]:
    for statement, ids in (
        (_OF_PEOPLE, [each.person for each in sizes if each.person is not None]),
        (_OF_CLUSTERS, [each.id for each in sizes if each.person is None]),
    ):
        if ids:
            for row in connection.execute(statement, (ids,)):
                group, person, name, faces, quality, version, sample, photos = row
                yield FaceGroup(
                    group, person, name, faces, list(zip(sample, photos, strict=True)), quality, version
                )


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
    """The faces that were grouped so, the best first: those of nobody, or all where everybody has one."""
    return connection.scalars(
        """SELECT id FROM present_faces WHERE cluster = %(cluster)s AND (person_id IS NULL OR NOT EXISTS (
                SELECT FROM present_faces WHERE cluster = %(cluster)s AND person_id IS NULL))
            ORDER BY quality DESC, id LIMIT %(limit)s OFFSET %(offset)s""",
        {"cluster": cluster, "limit": limit, "offset": offset},
    )


def best_of_person(connection: Connection, person: UUID, *, limit: int, offset: int = 0) -> list[int]:
    """The faces of a person, the best first."""
    return connection.scalars(
        """SELECT id FROM present_faces WHERE person_id = %s ORDER BY quality DESC, id
            LIMIT %s OFFSET %s""",
        (person, limit, offset),
    )


def loose_faces(
    connection: Connection,
    clusters: Sequence[str],
    *,
    limit: int,
    after: tuple[float, int] | None = None,
) -> list[LooseFace]:
    """Faces of nobody that are in no group, the best first.

    Parameters
    ----------
    clusters : sequence of str
        Which are none, see `GroupSizes`.
    after : (quality, face), optional
        Only those that come later than this one.
    """
    quality, face = after or (float("inf"), 0)
    rows = connection.execute(
        _LOOSE, {"quality": quality, "face": face, "limit": limit, "clusters": list(clusters)}
    )
    return [LooseFace(*row) for row in rows]


# In the order of its index, which PostgreSQL takes only where the cluster, that is null, leads.
_LOOSE: LiteralString = """
    WITH loose AS (
        (SELECT id, image_id, quality FROM present_faces
            WHERE person_id IS NULL AND cluster IS NULL AND quality <= %(quality)s::real
                AND (quality < %(quality)s::real OR id > %(face)s)
            ORDER BY cluster, quality DESC, id LIMIT %(limit)s)
        UNION ALL
        (SELECT id, image_id, quality FROM present_faces
            WHERE person_id IS NULL AND cluster = ANY(%(clusters)s::text[]) AND quality <= %(quality)s::real
                AND (quality < %(quality)s::real OR id > %(face)s)
            ORDER BY quality DESC, id LIMIT %(limit)s))
    SELECT l.id, i.sha256, l.quality FROM loose l JOIN images i ON i.id = l.image_id
    ORDER BY l.quality DESC, l.id LIMIT %(limit)s"""
