"""Names out and in again: by XMP into another library of the same photos, and by boxes around real faces."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.names_elsewhere import LEFT, RIGHT, add_photo_file, picasa_ini
from tests.fixtures.photo_library import PEOPLE
from tests.fixtures.photo_library import Library as Photos

from facesets.formats.named_photos import Box
from facesets.operations.interchange.export_xmp import export_xmp
from facesets.operations.interchange.import_names import import_names
from facesets.operations.interchange.name_sources import FilesRead, named_photos
from facesets.operations.library.transfer import import_cache
from facesets.operations.options.library import ExportXmpOptions
from facesets.operations.people.corrections import naming
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work

BY = "anna@home"

Drawn = Callable[[np.ndarray], np.ndarray]
"""From the five points of a face to the box that a program draws."""


def bring(library: Library, folder: Path) -> Result:
    read = FilesRead()
    photos = named_photos([folder], "auto", read)
    return import_names(library, photos, read, "names", work=Work(by=BY))


def test_no_name_is_lost_by_xmp_and_no_box_is_a_pixel_aside(
    library: Library, empty_database: Database, tmp_path: Path
) -> None:
    other = Library(empty_database)
    for turned in range(1, 9):
        path = tmp_path / f"{turned}.jpg"
        faces = add_photo_file(library, path, [LEFT, RIGHT], orientation=turned)
        add_photo_file(other, path, [LEFT, RIGHT], orientation=turned)
        for face, who in zip(faces, ("Anna", f"Zoë {turned}"), strict=True):
            naming.name(library.database, str(face), who, into=True, face=True, by=BY)
    export_xmp(library, (), ExportXmpOptions(), work=Work())
    found = bring(other, tmp_path)
    assert (found.photos, found.people, found.named, found.without_face) == (8, 9, 16, 0)
    named = """SELECT p.path, f.x1, n.name FROM face_detections f JOIN person_names n USING (person_id)
        JOIN image_paths p USING (image_id) ORDER BY 1, 2"""
    assert rows(other.database, named) == rows(library.database, named)
    ((aside,),) = rows(
        other.database,
        """SELECT max(greatest(abs(n.box[1] * i.width - f.x1), abs(n.box[2] * i.height - f.y1),
                abs(n.box[3] * i.width - f.x2), abs(n.box[4] * i.height - f.y2)))
            FROM imported_names n JOIN face_detections f ON f.id = n.face_id
            JOIN images i ON i.id = n.image_id WHERE n.box IS NOT NULL""",
    )
    assert aside < 1
    # And what comes back to where it is from says nothing new.
    again = bring(library, tmp_path)
    assert (again.named, again.asked) == (0, 0)


def around_the_eyes(points: np.ndarray) -> np.ndarray:
    """Tight, from above the brows to below the mouth."""
    eyes = np.linalg.norm(points[1] - points[0])
    middle = points.mean(axis=0)
    return np.array([*(middle - 1.1 * eyes), *(middle + 1.1 * eyes)])


def around_the_head(points: np.ndarray) -> np.ndarray:
    """With hair, ears and chin."""
    eyes = np.linalg.norm(points[1] - points[0])
    middle = points.mean(axis=0) - (0, 0.3 * eyes)
    return np.array([*(middle - 2.4 * eyes), *(middle + 2.4 * eyes)])


@pytest.mark.parametrize("drawn", [around_the_eyes, around_the_head])
def test_real_faces_are_found_in_boxes_as_other_programs_draw_them(
    library: Library, pristine: Photos, drawn: Drawn
) -> None:
    settings = pristine.store.settings
    assert settings is not None
    with library.writing(settings):
        import_cache(pristine.store, library, work=Work())
    places: dict[str, list[tuple[Box, str]]] = {}
    contacts = {f"{number:x}": name for number, name in enumerate(PEOPLE, start=1)}
    faces = rows(
        library.database,
        """SELECT p.path, f.kps, i.width, i.height FROM face_detections f JOIN images i ON i.id = f.image_id
            JOIN image_paths p ON p.image_id = i.id
            WHERE (SELECT count(*) FROM face_detections g WHERE g.image_id = i.id) = 1""",
    )
    for path, points, width, height in faces:
        who = next((key for key, name in contacts.items() if Path(path).name.startswith(name)), None)
        if who is not None:
            x1, y1, x2, y2 = np.clip(drawn(np.reshape(points, (5, 2))) / ([width, height] * 2), 0, 1).tolist()
            places.setdefault(Path(path).name, []).append(((x1, y1, x2, y2), who))
    assert len(places) >= 30
    ini = pristine.photos / ".picasa.ini"
    ini.write_text(picasa_ini(places, contacts), encoding="utf-8")
    try:
        found = bring(library, pristine.photos)
    finally:
        ini.unlink()
    assert (found.named, found.without_face, found.asked) == (len(places), 0, 0)
    assert {name for (name,) in rows(library.database, "SELECT name FROM person_names")} == set(PEOPLE)
