"""Who is on which image, with names, for those who tell it to others."""

from collections.abc import Sequence
from dataclasses import dataclass

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person. The first name is the person's own, then come those of people merged into it."""

    id: str
    is_active: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeopledImage:
    """The faces of one image: boxes x1, y1, x2, y2 in pixels, and for each its person's id or None."""

    sha256: str
    width: int
    height: int
    box: list[tuple[float, float, float, float]]
    person: list[str | None]


@dataclass(frozen=True, slots=True)
class PeopledImages:
    """Images, and the people on them."""

    images: list[PeopledImage]
    persons: list[PersonRow]


def people_on_images(library: Library, sha256: Sequence[str]) -> PeopledImages:
    """The faces of these images in the library's way of finding them, and whose they are."""
    return library.database.run(lambda connection: _read(library, connection, sha256))


def _read(library: Library, connection: Connection, sha256: Sequence[str]) -> PeopledImages:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    detector = library.detector(connection)
    if detector is None:
        return PeopledImages([], [])
    images: dict[str, PeopledImage] = {}
    rows = connection.execute(
        """SELECT i.sha256, i.width, i.height, f.x1, f.y1, f.x2, f.y2, f.person_id::text
            FROM images i JOIN face_detections f ON f.image_id = i.id AND f.detector_id = %s
            WHERE i.sha256 = ANY(%s) ORDER BY i.sha256, f.ordinal""",
        (detector.id, list(sha256)),
    )
    for digest, width, height, x1, y1, x2, y2, person in rows:
        image = images.setdefault(digest, PeopledImage(digest, width, height, [], []))
        image.box.append((x1, y1, x2, y2))
        image.person.append(person)
    wanted = sorted({person for image in images.values() for person in image.person if person is not None})
    persons = connection.execute(
        """SELECT p.id::text, p.status = 'active',
                array(SELECT n.name FROM person_names n JOIN persons q ON q.id = n.person_id
                    WHERE q.id = p.id OR q.merged_into_id = p.id ORDER BY q.id <> p.id, n.id)
            FROM persons p WHERE p.id = ANY(%s::uuid[]) ORDER BY p.id""",
        (wanted,),
    )
    return PeopledImages(list(images.values()), [PersonRow(row[0], row[1], tuple(row[2])) for row in persons])
