"""Which tags photos and faces have, and photos by their tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from facesets.library_records import TagTarget
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.expected_rows import expected_rows
from facesets.store.postgres.photo_conditions import Conditions, per_image

_DELETE: Mapping[TagTarget, LiteralString] = {
    "scene": """DELETE FROM image_tags t USING tags w
        WHERE w.id = t.tag_id AND w.category_id = ANY(%s) AND t.image_id = ANY(%s)""",
    "face": """DELETE FROM face_tags t USING tags w
        WHERE w.id = t.tag_id AND w.category_id = ANY(%s) AND t.face_id = ANY(%s)""",
}
_INSERT: Mapping[TagTarget, LiteralString] = {
    "scene": """INSERT INTO image_tags (image_id, tag_id, model_id, confidence, taken)
        SELECT i.id, w.id, %s, new.confidence, i.taken
        FROM unnest(%s::bigint[], %s::integer[], %s::real[]) AS new (owner, tag, confidence)
        JOIN tags w ON w.id = new.tag JOIN images i ON i.id = new.owner""",
    "face": """INSERT INTO face_tags (face_id, tag_id, model_id, confidence)
        SELECT new.owner, w.id, %s, new.confidence
        FROM unnest(%s::bigint[], %s::integer[], %s::real[]) AS new (owner, tag, confidence)
        JOIN tags w ON w.id = new.tag""",
}


class TagRows(NamedTuple):
    """Tags to store as columns: the numbers of images or faces, those of tags, confidences."""

    owner: Sequence[int]
    tag: Sequence[int]
    confidence: Sequence[float]


def replace_tags(
    connection: Connection,
    target: TagTarget,
    model_id: int,
    owners: Sequence[int],
    categories: Sequence[int],
    rows: TagRows,
) -> None:
    """Store the tags that a model gave images or faces, in place of those they had in these categories.

    Tags that were taken out of their category meanwhile are left out.
    """
    connection.execute(_DELETE[target], (list(categories), list(owners)))
    connection.execute(_INSERT[target], (model_id, list(rows.owner), list(rows.tag), list(rows.confidence)))


class AskedTag(NamedTuple):
    """A tag to search for."""

    number: int
    target: TagTarget


class KnownTag(NamedTuple):
    """A tag of the library."""

    number: int
    name: str
    category: str
    target: TagTarget


def tags_named(connection: Connection, name: str, category: str | None = None) -> list[KnownTag]:
    """The tags of a name, of a category if it is given, in any case."""
    return [
        KnownTag(*row)
        for row in connection.execute(
            """SELECT w.id, w.name, c.name, c.target FROM tags w JOIN tag_categories c ON c.id = w.category_id
                WHERE lower(w.name) = lower(%(name)s)
                    AND (%(category)s::text IS NULL OR lower(c.name) = lower(%(category)s)) ORDER BY c.id""",
            {"name": name, "category": category},
        )
    ]


def all_tag_names(connection: Connection) -> list[str]:
    """The names of all tags."""
    return [name for (name,) in connection.execute("SELECT DISTINCT name FROM tags ORDER BY 1")]


_TRUE = sql.SQL("true")
_OF_TAG = sql.SQL("SELECT image_id FROM image_tags WHERE tag_id = {}")
_PHOTO_HAS = sql.SQL(
    "EXISTS (SELECT FROM image_tags t WHERE t.image_id = i.id AND t.tag_id = {tag} {per_image})"
)
_FACE_HAS = sql.SQL(
    """EXISTS (SELECT FROM face_detections f JOIN face_tags t ON t.face_id = f.id
        WHERE f.image_id = i.id AND t.tag_id = {tag} AND {shown} {per_image})"""
)


def face_of(persons: Sequence[UUID]) -> sql.Composable:
    """The condition that a face `f` is one of these people, or anybody where none is named."""
    return sql.SQL("f.person_id = ANY({}::uuid[])").format(sql.Literal(list(persons))) if persons else _TRUE


def tagged(tags: Sequence[AskedTag], persons: Sequence[UUID], how: sql.SQL) -> Conditions:
    """Photos that have all of these tags, or a face of one of these people has them; anybody's for none."""
    return [_has(each, persons, how) for each in tags], {}


def _has(tag: AskedTag, persons: Sequence[UUID], how: sql.SQL) -> sql.Composed:
    # Numbers in the statement, not parameters: the planner knows how many images have that tag.
    number = sql.Literal(tag.number)
    if tag.target == "scene":
        return _PHOTO_HAS.format(tag=number, per_image=per_image(how))
    return _FACE_HAS.format(tag=number, shown=face_of(persons), per_image=per_image(how))


def of_tag(tag: AskedTag) -> sql.Composed:
    """Photos with that tag in place of the table of images: an index has them in the order of time."""
    return sql.SQL("(SELECT t.image_id AS id, t.taken FROM image_tags t WHERE t.tag_id = {})").format(
        sql.Literal(tag.number)
    )


def analyze_tags(connection: Connection) -> None:
    """Let PostgreSQL count again how many have each tag: for one it knows nothing of it may search long."""
    connection.execute("ANALYZE image_tags, face_tags")


def shares_of_tags(connection: Connection) -> dict[int, float]:
    """Which part of all tags of photos, or of faces, is of which tag, as far as PostgreSQL knows."""
    return dict(
        connection.execute(
            """SELECT unnest(most_common_vals::text::integer[]), unnest(most_common_freqs) FROM pg_stats
                WHERE schemaname = current_schema() AND tablename IN ('image_tags', 'face_tags')
                    AND attname = 'tag_id'"""
        ).fetchall()
    )


def about_tagged(connection: Connection, tag: AskedTag) -> float:
    """About how many photos have a tag of photos, as far as PostgreSQL knows."""
    (expected,) = expected_rows(connection, [_OF_TAG.format(tag.number)])
    return expected


def rarest_of_photos(connection: Connection, tags: Sequence[AskedTag]) -> AskedTag | None:
    """Of tags of photos the one that fewest have, as far as PostgreSQL knows; None if all are of faces."""
    of_photos = [each for each in tags if each.target == "scene"]
    if len(of_photos) < 2:
        return next(iter(of_photos), None)
    known = shares_of_tags(connection)
    return min(of_photos, key=lambda each: known.get(each.number, 0.0))


@dataclass(frozen=True, slots=True)
class PhotoTag:
    """A tag of a photo or a face; the name of the model that gave it is empty for another source."""

    category: str
    tag: str
    confidence: float
    source: str
    model: str


@dataclass(frozen=True, slots=True)
class PhotoTags:
    """The tags of a photo, and those of the faces on it by their numbers, by category, the best first."""

    scene: list[PhotoTag]
    faces: dict[int, list[PhotoTag]]

    def distinct(self) -> list[PhotoTag]:
        """All of them, those of faces once each with the greatest confidence."""
        found = {(each.category, each.tag): each for each in self.scene}
        of_faces = sorted(chain(*self.faces.values()), key=lambda each: each.confidence)
        return list((found | {(each.category, each.tag): each for each in of_faces}).values())


def of_image(connection: Connection, image_id: int) -> PhotoTags:
    """The tags of an image and of the faces on it."""
    scene: list[PhotoTag] = []
    faces: dict[int, list[PhotoTag]] = {}
    for face, *tag in connection.execute(
        """SELECT found.face, c.name, w.name, found.confidence, c.source, coalesce(m.name, '')
            FROM (SELECT NULL::bigint AS face, tag_id, model_id, confidence FROM image_tags
                    WHERE image_id = %(image)s
                UNION ALL SELECT t.face_id, t.tag_id, t.model_id, t.confidence FROM face_tags t
                    JOIN face_detections f ON f.id = t.face_id WHERE f.image_id = %(image)s) AS found
            JOIN tags w ON w.id = found.tag_id JOIN tag_categories c ON c.id = w.category_id
            LEFT JOIN models m ON m.id = found.model_id
            ORDER BY found.face, c.id, found.confidence DESC, w.place""",
        {"image": image_id},
    ):
        (scene if face is None else faces.setdefault(face, [])).append(PhotoTag(*tag))
    return PhotoTags(scene, faces)


def tags_of_image(connection: Connection, image_id: int) -> PhotoTags | None:
    """The same; None where there is none."""
    found = of_image(connection, image_id)
    return found if found.scene or found.faces else None


def tag_counts(connection: Connection) -> dict[int, int]:
    """How many photos or faces have each tag, by the tags' numbers; tags that none has are left out."""
    return dict(
        connection.execute(
            """SELECT tag_id, count(*) FROM image_tags t WHERE NOT EXISTS (
                    SELECT FROM images m WHERE m.id = t.image_id AND m.missing_since IS NOT NULL) GROUP BY 1
                UNION ALL SELECT tag_id, count(*) FROM face_tags t WHERE NOT EXISTS (
                    SELECT FROM face_detections f JOIN images m ON m.id = f.image_id
                    WHERE f.id = t.face_id AND m.missing_since IS NOT NULL) GROUP BY 1"""
        ).fetchall()
    )
