"""Tags of faces: CLIP of the crop around each, kept so that other prompts need no photo."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from tests.fixtures.clip import COLOURS, MEAN, STD, make_clip
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import SETTINGS, made_faces
from tests.fixtures.photos import copy_photos

from facesets.assembly.describing import Asked
from facesets.assembly.stages import StageModels, stages_of_run
from facesets.assembly.tags import run_tags
from facesets.cli import console
from facesets.errors import WrongUsage
from facesets.file_records import FileRecord
from facesets.imaging.decode import decode
from facesets.inference.clip_image import ClipVisual
from facesets.inference.clip_packs import read_clip
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.operations.ingest.index import index
from facesets.operations.ingest.stage_run import StageRunOptions
from facesets.operations.ingest.tag_stages import face_crop
from facesets.operations.library.photo_search import filter_of
from facesets.operations.library.search import search_photos
from facesets.operations.library.tags import set_tags
from facesets.operations.options.index import IndexOptions
from facesets.records import Faces, ImageRecord
from facesets.result import Result
from facesets.settings import load
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.tags import of_image
from facesets.work import Work

FACES = {"red": (40, 40, 80, 90), "blue": (150, 60, 200, 120)}
SEEN = {"red": (200, 20, 20), "blue": (10, 20, 220)}
TAGS = """
[shade]
target = "face"
templates = ["{}"]
none = ["green"]
words = ["red", "blue", "yellow"]
"""


def set_to(library: Library, tmp_path: Path, text: str) -> None:
    file = tmp_path / "tags.toml"
    file.write_text(text)
    set_tags(library, file, only=True)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "root" / "clip" / "tiny")


@pytest.fixture
def library(database: Database, pack: Path, tmp_path: Path) -> Library:
    """A photo with a red face and a blue one on green, one without faces, and categories about faces."""
    library = Library(database)
    set_to(library, tmp_path, TAGS)
    pixels = np.full((160, 240, 3), (20, 190, 30), np.uint8)
    for name, (left, top, right, bottom) in FACES.items():
        pixels[top - 25 : bottom + 25, left - 25 : right + 25] = SEEN[name]
    Image.fromarray(pixels).save(tmp_path / "two.png")
    Image.new("RGB", (30, 30), (9, 9, 9)).save(tmp_path / "none.png")
    two = replace(made_faces(2), box=np.array(list(FACES.values()), np.float32))
    with library.writing(SETTINGS):
        for name, faces in (("two", two), ("none", two.take(slice(0)))):
            path = tmp_path / f"{name}.png"
            image = record(path, faces)
            status = path.stat()
            library.commit([FileRecord(str(path), status.st_size, status.st_mtime_ns, image.sha256)], [image])
    database.run(
        lambda connection: connection.execute(
            """WITH m AS (INSERT INTO models (kind, name, sha256, dimension) VALUES ('clip', 'tiny', %s, 48)
                    RETURNING id)
                INSERT INTO image_embeddings (image_id, model_id, embedding)
                SELECT i.id, m.id, array_fill(0.1::real, ARRAY[48])::vector FROM images i, m""",
            (read_clip(pack).model.sha256,),
        )
    )
    return library


def record(path: Path, faces: Faces) -> ImageRecord:
    decoded = decode(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    nat = np.datetime64("NaT", "s")
    return ImageRecord(digest, decoded.width, decoded.height, nat, bytes(32), faces)


def run(library: Library, pack: Path, options: StageRunOptions | None = None) -> Result:
    asked = Asked(clip_pack=str(pack), provider="cpu")
    return run_tags("face-tags", library, load(), asked, options or StageRunOptions(), Work())


def tags(library: Library) -> list[tuple[float, str, float]]:
    """Left edge of each face, its tag, and the confidence."""
    return rows(
        library.database,
        """SELECT f.x1, w.name, t.confidence FROM face_tags t JOIN face_detections f ON f.id = t.face_id
            JOIN tags w ON w.id = t.tag_id ORDER BY f.x1""",
    )


def test_each_face_gets_the_tag_of_its_own_crop_with_the_confidence_by_hand(
    library: Library, pack: Path
) -> None:
    assert run(library, pack, StageRunOptions(dry_run=True)).to_do == 2
    assert run(library, pack).completed == 2
    found = tags(library)
    assert [(left, tag) for left, tag, _ in found] == [(40, "red"), (150, "blue")]
    for (_, tag, confidence), seen in zip(found, SEEN.values(), strict=True):
        colour = (np.array(seen) / 255 - MEAN) / STD
        words = ["red", "blue", "yellow", "green"]
        cosines = [
            colour @ COLOURS[word] / np.linalg.norm(colour) / np.linalg.norm(COLOURS[word]) for word in words
        ]
        assert confidence == pytest.approx(softmax(100 * np.array(cosines))[words.index(tag)], abs=1e-3)
    found_photos = search_photos(library, filter_of(library, tags=["shade:red", "blue"]), 10)
    assert [Path(hit.path).name for hit in found_photos] == ["two.png"]
    of_photo = library.database.run(lambda connection: of_image(connection, 1))
    assert [[each.tag for each in of_face] for of_face in of_photo.faces.values()] == [["red"], ["blue"]]


def test_other_prompts_need_no_photo_again(library: Library, pack: Path, tmp_path: Path) -> None:
    run(library, pack)
    (tmp_path / "two.png").unlink()
    set_to(library, tmp_path, TAGS.replace('["red", "blue", "yellow"]', '["yellow", "blue"]'))
    summary = run(library, pack)
    assert (summary.completed, summary.unavailable) == (2, 0)
    assert [(left, tag) for left, tag, _ in tags(library)] == [(40, "yellow"), (150, "blue")]
    assert run(library, pack, StageRunOptions(force=True)).unavailable == 1


def test_faces_of_photos_that_are_away_stay_pending(library: Library, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "two.png").rename(tmp_path / "away")
    summary = run(library, pack)
    assert (summary.completed, summary.unavailable) == (1, 1)
    (tmp_path / "away").rename(tmp_path / "two.png")
    assert run(library, pack).completed == 1
    assert len(tags(library)) == 2


def test_a_photo_whose_faces_are_found_again_is_pending(library: Library, pack: Path, tmp_path: Path) -> None:
    run(library, pack)
    path = tmp_path / "two.png"
    other = replace(made_faces(1, seed=4), box=np.array([[150, 60, 201, 121]], np.float32))
    with library.writing(SETTINGS):
        library.commit([], [record(path, other)])
    assert run(library, pack).completed == 1
    assert [(left, tag) for left, tag, _ in tags(library)] == [(150, "blue")]


def test_vectors_of_a_face_that_goes_go_with_it(library: Library, pack: Path) -> None:
    run(library, pack)
    rows(library.database, "DELETE FROM face_detections WHERE x1 = 40 RETURNING 1")
    assert [tag for _, tag, _ in tags(library)] == ["blue"]
    assert rows(library.database, "SELECT count(*) FROM face_clip_embeddings") == [(1,)]


def test_without_a_category_about_faces_that_is_said(library: Library, pack: Path, tmp_path: Path) -> None:
    set_to(library, tmp_path, TAGS.replace('"face"', '"scene"'))
    with pytest.raises(WrongUsage, match="no category of tags about faces"):
        run(library, pack)


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((40, 40, 80, 100), (90, 60)),
        ((0, 0, 40, 40), (50, 50)),
        ((200, 100, 240, 160), (75, 50)),
        ((-9, -9, 260, 190), (160, 240)),
        ((239.5, 159.5, 240, 160), (1, 1)),
        ((300, 300, 310, 310), (1, 1)),
    ],
)
def test_a_crop_is_the_box_with_a_quarter_more_on_each_side_as_far_as_the_picture_goes(
    box: tuple[float, ...], shape: tuple[int, int]
) -> None:
    pixels = np.zeros((160, 240, 3), np.uint8)
    assert face_crop(pixels, np.array(box, np.float32)).shape == (*shape, 3)


def test_new_photos_are_tagged_in_the_run_that_takes_them_in_where_that_is_asked_for(
    database: Database, pack: Path, lfw_photos: list[Path], tmp_path: Path, embedder: LocalEmbedder
) -> None:
    library = Library(database)
    set_to(library, tmp_path, TAGS.replace('"{}"]', '"{}"]\nmode = "multi"\nmin_confidence = 0.0'))
    describer = LocalDescriber(embedder, ClipVisual(read_clip(pack)))
    models = StageModels(library=library, describer=describer, clip_pack=str(pack))
    names = (*IndexOptions().stages, "face-tags")
    assert "face-tags" not in IndexOptions().stages, "it costs as much again as CLIP of the photos"
    made = stages_of_run(names, models, load(), console, Work())
    index(
        GallerySource([copy_photos(lfw_photos[:3], tmp_path / "photos")]),
        library,
        describer,
        IndexOptions(),
        stages=made,
        work=Work(),
    )
    inline = tags(library)
    ((faces,),) = rows(database, "SELECT count(*) FROM face_detections")
    assert len(inline) == 3 * faces > 0
    assert run(library, pack).completed == 0
    assert run(library, pack, StageRunOptions(force=True)).completed == 3
    assert sorted(tags(library)) == sorted(inline)
