"""Names by XMP: out and in again, wherever a photo has it, and by boxes around real faces."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fixtures import named_photos
from tests.fixtures.library_people import rows
from tests.fixtures.named_photos import add, export, picture, sidecar
from tests.fixtures.names_elsewhere import LEFT, RIGHT, add_photo_file, bring, picasa_ini
from tests.fixtures.photo_library import PEOPLE
from tests.fixtures.photo_library import Library as Photos
from tests.fixtures.tagged_photos import jpeg_in_parts
from tests.fixtures.xmp_packets import (
    boundary,
    exiftool_reads_all,
    iptc_region,
    listed,
    packet_of,
    region,
    regions,
)

from facesets.formats.named_photos import Box
from facesets.operations.library.transfer import import_cache
from facesets.operations.people.corrections import naming
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.work import Work

GUID = "0123456789ABCDEF0123456789ABCDEF"
Drawn = Callable[[np.ndarray], np.ndarray]
"""From the five points of a face to the box that a program draws."""


@pytest.mark.parametrize("suffix", [".jpg", ".heic"])
def test_xmp_loses_no_name_and_moves_no_box(
    library: Library, empty_database: Database, tmp_path: Path, suffix: str
) -> None:
    other = Library(empty_database)
    for turned in range(1, 9):
        path = picture(tmp_path / f"{turned}{suffix}", turned)
        add_photo_file(other, path, [LEFT, RIGHT])
        faces = add_photo_file(library, path, [LEFT, RIGHT])
        for face, who in zip(faces, ("Anna", f"Zoë {turned}"), strict=True):
            naming.name(library.database, str(face), who, into=True, face=True, by="anna@home")
    assert (export(library).new, export(library).unchanged) == (8, 8)
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
    assert aside < 0.01
    # An import of our own export adds nothing.
    again = bring(library, tmp_path)
    assert (again.named, again.asked) == (0, 0)


def test_a_server_that_imports_regions_gets_every_box_to_the_pixel(library: Library, tmp_path: Path) -> None:
    made = [picture(tmp_path / f"{n}.jpg", n) for n in range(1, 9)]
    for photo in made:
        add(library, photo, "Anna", "Ben")
    export(library)
    boxes = np.array([named_photos.LEFT, named_photos.RIGHT])
    for orientation, tags in enumerate(exiftool_reads_all([sidecar(photo) for photo in made]), start=1):
        assert tags["PersonInImage"] == ["Anna", "Ben"]
        found = {name: box for name, *box in _as_immich_imports(tags["RegionInfo"], orientation)}
        assert found.keys() == {"Anna", "Ben"}
        assert np.abs(np.array([found["Anna"], found["Ben"]]) - boxes).max() <= 1


def _as_immich_imports(info: dict[str, Any], orientation: int) -> Iterator[tuple[str, int, int, int, int]]:
    """Name and box in whole pixels of the upright picture, as Immich makes them of what exiftool reads."""
    width, height = info["AppliedToDimensions"]["W"], info["AppliedToDimensions"]["H"]
    is_on_its_side = orientation >= 5
    if is_on_its_side:
        width, height = height, width
    for each in info["RegionList"]:
        x, y, w, h = (each["Area"][key] for key in "XYWH")
        x, y = {
            1: (x, y),
            2: (1 - x, y),
            3: (1 - x, 1 - y),
            4: (x, 1 - y),
            5: (y, x),
            6: (1 - y, x),
            7: (1 - y, 1 - x),
            8: (y, 1 - x),
        }[orientation]
        if is_on_its_side:
            w, h = h, w
        left, top = int((x - w / 2) * width), int((y - h / 2) * height)
        yield each["Name"], left, top, int((x + w / 2) * width), int((y + h / 2) * height)


def named(library: Library) -> list[str]:
    """The names of people with named faces, from left to right."""
    found = rows(
        library.database,
        """SELECT n.name FROM face_detections f JOIN person_names n USING (person_id)
            ORDER BY f.image_id, f.x1""",
    )
    return [name for (name,) in found]


def anna(*more: str) -> bytes:
    """A packet with a region around the left face."""
    return packet_of(regions(region("Anna", 0.2, 0.35, 0.2, 0.3)) + "".join(more))


@pytest.mark.parametrize("orientation", [1, 6])
def test_regions_by_iptc_in_pixels_as_stored(library: Library, tmp_path: Path, orientation: int) -> None:
    # Pictures are stored with 60 × 40 pixels; a quarter turn brings their left to the top.
    face = (0.5, 0.1, 0.8, 0.3) if orientation == 6 else LEFT
    place = boundary("rectangle", "pixel", X=6, Y=8, W=12, H=12)
    item = iptc_region(place, listed("Iptc4xmpExt:PersonInImage", "Anna"))
    packet = packet_of(listed("Iptc4xmpExt:ImageRegion", items=[item]))
    add_photo_file(library, tmp_path / "1.jpg", [face], orientation=orientation, xmp=packet)
    found = bring(library, tmp_path)
    assert (found.named, named(library)) == (1, ["Anna"])


@pytest.mark.parametrize("is_whole", [True, False])
def test_regions_in_further_parts_of_a_photo(library: Library, tmp_path: Path, is_whole: bool) -> None:
    note = f' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{GUID}"'
    main = packet_of(regions(region("Anna", 0.2, 0.35, 0.2, 0.3)), note)
    more = packet_of(
        listed(
            "Iptc4xmpExt:ImageRegion",
            items=[
                iptc_region(
                    boundary("rectangle", "relative", X=0.6, Y=0.3, W=0.2, H=0.3),
                    listed("Iptc4xmpExt:PersonInImage", "Ben"),
                )
            ],
        )
    )
    half = len(more) // 2
    parts = [(GUID, len(more), half, more[half:]), (GUID, len(more), 0, more[:half])]
    (tmp_path / "1.jpg").write_bytes(jpeg_in_parts(main, parts if is_whole else parts[:1]))
    add_photo_file(library, tmp_path / "1.jpg", [LEFT, RIGHT])
    found = bring(library, tmp_path)
    # The first part is read in any case.
    assert named(library) == (["Anna", "Ben"] if is_whole else ["Anna"])
    assert ["do not fit together" in each for each in found.failed] == ([] if is_whole else [True])


def test_the_sidecar_of_a_video_belongs_to_no_photo(library: Library, tmp_path: Path) -> None:
    for name in ("clip.mov.jpg", "live.jpg", "shot.jpg", "both.jpg", "raw.jpg"):
        add_photo_file(library, tmp_path / name, [LEFT])
    for name in ("clip.mov", "live.MOV", "shot.mp4", "both.mov", "raw.CR2"):
        (tmp_path / name).write_bytes(b"no photo")
    (tmp_path / "clip.mov.xmp").write_bytes(anna())
    (tmp_path / "live.xmp").write_bytes(anna("<dc:format>video/quicktime</dc:format>"))
    ending = '<photoshop:SidecarForExtension xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">MP4'
    (tmp_path / "shot.xmp").write_bytes(anna(f"{ending}</photoshop:SidecarForExtension>"))
    assert bring(library, tmp_path).photos == 0
    # A photo of that name exists, so the names may be its own.
    (tmp_path / "both.xmp").write_bytes(anna())
    (tmp_path / "raw.xmp").write_bytes(
        anna(f"{ending.replace('MP4', 'CR2')}</photoshop:SidecarForExtension>")
    )
    assert bring(library, tmp_path).photos == 2
    (tmp_path / "clip.mov.jpg.xmp").write_bytes(anna())
    assert bring(library, tmp_path).photos == 3


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
def test_real_faces_are_found_in_boxes_of_others(library: Library, pristine: Photos, drawn: Drawn) -> None:
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
