"""Where the XMP of a photo is: in its own sidecar, in the photo, and in further parts of that."""

from pathlib import Path

import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.names_elsewhere import LEFT, RIGHT, add_photo_file
from tests.fixtures.tagged_photos import jpeg_in_parts
from tests.fixtures.xmp_packets import boundary, iptc_region, listed, packet_of, region, regions

from facesets.operations.interchange.import_names import import_names
from facesets.operations.interchange.name_sources import FilesRead, named_photos
from facesets.result import Result
from facesets.store.postgres.library import Library
from facesets.work import Work

_GUID = "0123456789ABCDEF0123456789ABCDEF"


def bring(library: Library, folder: Path) -> Result:
    read = FilesRead()
    photos = named_photos([folder], "auto", read)
    return import_names(library, photos, read, "names", work=Work(by="anna"))


def named(library: Library) -> list[str]:
    """The people whose faces have a name, from left to right."""
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
def test_regions_by_iptc_in_pixels_of_the_stored_picture(
    library: Library, tmp_path: Path, orientation: int
) -> None:
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
    note = f' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{_GUID}"'
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
    parts = [(_GUID, len(more), half, more[half:]), (_GUID, len(more), 0, more[:half])]
    (tmp_path / "1.jpg").write_bytes(jpeg_in_parts(main, parts if is_whole else parts[:1]))
    add_photo_file(library, tmp_path / "1.jpg", [LEFT, RIGHT])
    found = bring(library, tmp_path)
    # What is in the first part is read in any case.
    assert named(library) == (["Anna", "Ben"] if is_whole else ["Anna"])
    assert ["do not fit together" in each for each in found.failed] == ([] if is_whole else [True])


def test_the_sidecar_of_a_video_is_none_of_a_photo(library: Library, tmp_path: Path) -> None:
    for name in ("clip.mov.jpg", "live.jpg", "shot.jpg", "both.jpg", "raw.jpg"):
        add_photo_file(library, tmp_path / name, [LEFT])
    for name in ("clip.mov", "live.MOV", "shot.mp4", "both.mov", "raw.CR2"):
        (tmp_path / name).write_bytes(b"no photo")
    (tmp_path / "clip.mov.xmp").write_bytes(anna())
    (tmp_path / "live.xmp").write_bytes(anna("<dc:format>video/quicktime</dc:format>"))
    ending = '<photoshop:SidecarForExtension xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">MP4'
    (tmp_path / "shot.xmp").write_bytes(anna(f"{ending}</photoshop:SidecarForExtension>"))
    assert bring(library, tmp_path).photos == 0
    # A photo of that name is there, and nothing says that they are not its names.
    (tmp_path / "both.xmp").write_bytes(anna())
    (tmp_path / "raw.xmp").write_bytes(
        anna(f"{ending.replace('MP4', 'CR2')}</photoshop:SidecarForExtension>")
    )
    assert bring(library, tmp_path).photos == 2
    (tmp_path / "clip.mov.jpg.xmp").write_bytes(anna())
    assert bring(library, tmp_path).photos == 3
