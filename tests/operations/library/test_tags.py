"""Tags of photos and faces: colours by a network with known answers, and the reasons to make them again."""

import hashlib
import json
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

from facesets.assembly.describing import RequestedModels
from facesets.assembly.stages import StageModels, stages_of_run
from facesets.assembly.tags import run_tags
from facesets.cli import console
from facesets.errors import NotFound, WrongUsage
from facesets.file_records import FileRecord
from facesets.imaging.decode import decode
from facesets.inference import clip_text
from facesets.inference.clip_image import ClipVisual
from facesets.inference.clip_packs import read_clip
from facesets.inference.describer import LocalDescriber
from facesets.inference.local import LocalEmbedder
from facesets.operations.ingest.index import index
from facesets.operations.ingest.stage_run import StageRunOptions
from facesets.operations.ingest.tag_stages import face_crop
from facesets.operations.library.photo_search import filter_of
from facesets.operations.library.search import search_photos
from facesets.operations.library.stats import stages
from facesets.operations.library.tag_file import shipped_categories
from facesets.operations.library.tags import list_tags, set_tags, tags_called
from facesets.operations.options.index import IndexOptions
from facesets.records import Faces, ImageRecord
from facesets.result import Result
from facesets.settings import load
from facesets.sources.galleries import GallerySource
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos.search import times_of_photos
from facesets.store.postgres.photos.tags import of_image
from facesets.work import Work

SCALE = 10.0
PHOTOS = {"red": (200, 20, 20), "green": (20, 190, 30), "blue": (10, 20, 220), "yellow": (210, 205, 15)}
TAGS = """
[colour]
target = "scene"
templates = ["a photo of {}", "{}"]
none = ["yellow"]
words = ["red", "green", "blue"]

[warm]
target = "scene"
mode = "multi"
min_confidence = 0.3
words = ["red", "yellow"]
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return scaled(make_clip(tmp_path / "root" / "clip" / "tiny"))


def scaled(path: Path) -> Path:
    configuration = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(configuration | {"logit_scale": SCALE}))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in PHOTOS.items():
        Image.new("RGB", (60, 40), colour).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def library(database: Database, tmp_path: Path) -> Library:
    """With categories of colours."""
    set_to(Library(database), tmp_path, TAGS)
    return Library(database)


def set_to(library: Library, tmp_path: Path, text: str, *, only: bool = True) -> None:
    file = tmp_path / "tags.toml"
    file.write_text(text)
    set_tags(library, file, only=only)


def take_in(
    library: Library,
    photos: Path,
    pack: Path,
    names: tuple[str, ...] = ("scene",),
    embedder: LocalEmbedder | None = None,
) -> None:
    describer = LocalDescriber(embedder, ClipVisual(read_clip(pack)))
    models = StageModels(library=library, describer=describer, clip_pack=str(pack))
    made = stages_of_run(names, models, load(), console, Work())
    index(GallerySource([photos]), library, describer, IndexOptions(), stages=made, work=Work())


@pytest.fixture
def tagged(library: Library, photos: Path, pack: Path) -> Library:
    take_in(library, photos, pack)
    return library


def run(
    library: Library, pack: Path, options: StageRunOptions | None = None, *, stage: str = "scene"
) -> Result:
    asked = RequestedModels(clip_pack=str(pack), provider="cpu")
    return run_tags(stage, library, load(), asked, options or StageRunOptions(), Work())


def tags(library: Library) -> dict[str, dict[str, float]]:
    """The tags of each photo by its name, as category:tag, with confidence."""
    found: dict[str, dict[str, float]] = {name: {} for name in PHOTOS}
    for path, category, tag, confidence in rows(
        library.database,
        """SELECT p.path, c.name, w.name, t.confidence FROM image_tags t JOIN tags w ON w.id = t.tag_id
            JOIN tag_categories c ON c.id = w.category_id JOIN image_paths p ON p.image_id = t.image_id""",
    ):
        found[Path(path).stem][f"{category}:{tag}"] = confidence
    return found


def confidences(colour: tuple[int, int, int], *words: str) -> dict[str, float]:
    """By hand: the mean of a plain photo is its colour, and the network keeps angles between colours."""
    seen = (np.array(colour) / 255 - MEAN) / STD
    cosines = [seen @ COLOURS[word] / np.linalg.norm(seen) / np.linalg.norm(COLOURS[word]) for word in words]
    return dict(zip(words, softmax(SCALE * np.array(cosines)), strict=True))


def test_a_photo_gets_the_tags_of_its_colour_with_confidence(tagged: Library) -> None:
    found = tags(tagged)
    for photo in ("red", "green", "blue"):
        exact = confidences(PHOTOS[photo], "red", "green", "blue", "yellow")
        (colour,) = [name for name in found[photo] if name.startswith("colour:")]
        assert colour == f"colour:{photo}"
        assert found[photo][colour] == pytest.approx(exact[photo], abs=2e-3)
    warm = confidences(PHOTOS["red"], "red", "yellow")
    assert found["red"]["warm:red"] == pytest.approx(warm["red"], abs=2e-3)
    assert not any(name.startswith("colour:") for name in found["yellow"]), "none of these is the best"
    assert found["yellow"].keys() == {"warm:yellow"}


def test_a_run_over_the_library_gives_what_the_run_that_took_photos_in_gave(
    tagged: Library, photos: Path, pack: Path
) -> None:
    inline = tags(tagged)
    assert run(tagged, pack).completed == 0
    tagged.database.run(lambda connection: connection.execute("DELETE FROM image_tags"))
    for path in photos.iterdir():
        path.unlink()
    assert run(tagged, pack, StageRunOptions(force=True, max_images=3)).to_do == 1
    assert run(tagged, pack, StageRunOptions(force=True)).completed == 4
    assert tags(tagged) == inline


def test_photos_of_an_older_library_are_pending_and_tagged_without_their_files(
    library: Library, photos: Path, pack: Path
) -> None:
    take_in(library, photos, pack, ())
    assert run(library, pack, StageRunOptions(dry_run=True)).to_do == 4
    assert tags(library) == {name: {} for name in PHOTOS}
    first = run(library, pack, StageRunOptions(max_images=1))
    assert (first.completed, first.to_do) == (1, 3)
    assert run(library, pack, StageRunOptions(below=(str(photos / "red.png"),))).completed <= 1
    assert run(library, pack).completed >= 2
    assert set(tags(library)["red"]) == {"colour:red", "warm:red"}


def test_changed_prompts_renew_the_tags_of_their_category_alone(
    tagged: Library, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = texts_encoded(monkeypatch)
    before = written(tagged)
    set_to(tagged, tmp_path, TAGS.replace('words = ["red", "yellow"]', 'words = ["red", "yellow", "green"]'))
    (scene,) = [each for each in stages(tagged).stages if each.stage == "scene"]
    assert (scene.pending, scene.completed) == (4, 0)
    assert run(tagged, pack).completed == 4
    assert set(encoded) == {"a photo of red", "a photo of yellow", "a photo of green"}
    after = written(tagged)
    assert {key: row for key, row in after.items() if key[1] == "colour"} == {
        key: row for key, row in before.items() if key[1] == "colour"
    }
    assert all(row not in before.values() for key, row in after.items() if key[1] == "warm")
    assert set(tags(tagged)["green"]) == {"colour:green", "warm:green"}
    (scene,) = [each for each in stages(tagged).stages if each.stage == "scene"]
    assert (scene.pending, scene.completed) == (0, 4)


def test_another_minimum_confidence_renews_tags_without_texts(
    tagged: Library, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = texts_encoded(monkeypatch)
    set_to(tagged, tmp_path, TAGS.replace("min_confidence = 0.3", "min_confidence = 0.0001"))
    assert run(tagged, pack).completed == 4
    assert encoded == []
    assert {"warm:red", "warm:yellow"} <= set(tags(tagged)["yellow"])


def texts_encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that a model is asked about from now on."""
    encoded: list[str] = []
    embedding = clip_text.ClipTextual.embedding

    def note(textual: clip_text.ClipTextual, text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        encoded.append(text)
        return embedding(textual, text)

    monkeypatch.setattr(clip_text.ClipTextual, "embedding", note)
    return encoded


def written(library: Library) -> dict[tuple[int, str, str], tuple[str, str]]:
    """Which transaction wrote each tag, and where it stands: neither changes but by writing it again."""
    found = rows(
        library.database,
        """SELECT t.image_id, c.name, w.name, t.xmin::text, t.ctid::text FROM image_tags t
            JOIN tags w ON w.id = t.tag_id JOIN tag_categories c ON c.id = w.category_id""",
    )
    return {(image, category, tag): (xmin, place) for image, category, tag, xmin, place in found}


def test_removed_tags_are_deleted_at_once_and_a_returning_category_is_tagged_again(
    tagged: Library, pack: Path, tmp_path: Path
) -> None:
    whole = tags(tagged)
    set_to(tagged, tmp_path, TAGS.replace('["red", "green", "blue"]', '["red", "green"]'))
    assert not any(name.startswith("colour") for name in tags(tagged)["blue"])
    assert "colour:red" in tags(tagged)["red"], "which stays until it is renewed"
    set_to(tagged, tmp_path, TAGS.partition("[warm]")[0])
    assert all(not name.startswith("warm") for of_photo in tags(tagged).values() for name in of_photo)
    set_to(tagged, tmp_path, TAGS, only=False)
    assert run(tagged, pack).completed == 4
    assert tags(tagged) == whole


def test_tags_of_two_models_never_coexist(tagged: Library, photos: Path, pack: Path, tmp_path: Path) -> None:
    other = scaled(make_clip(tmp_path / "root" / "clip" / "other", seed=3, dimension=20))
    Image.new("RGB", (60, 40), (220, 10, 30)).save(photos / "new.png")
    of_images = """SELECT t.image_id, array_agg(DISTINCT m.name) FROM image_tags t
        JOIN models m ON m.id = t.model_id GROUP BY 1"""
    (photos / "blue.png").unlink()
    take_in(tagged, photos, other)
    by_image = [names for _, names in rows(tagged.database, of_images)]
    assert sorted(by_image) == [["other"]] * 4 + [["tiny"]]
    assert {each.dimension for each in tagged.clip_models()} == {48, 20}
    assert run(tagged, pack).completed == 3, "the library's photos were embedded by both, but for the new one"
    assert sorted(names for _, names in rows(tagged.database, of_images)) == [["other"]] + [["tiny"]] * 4


def test_another_logit_scale_makes_the_tags_pending(tagged: Library, pack: Path) -> None:
    (pack / "config.json").write_text("{}")
    before = tags(tagged)["red"]["colour:red"]
    assert run(tagged, pack).completed == 4
    assert tags(tagged)["red"]["colour:red"] > before


def test_photos_without_an_embedding_are_counted_and_stay_pending(
    library: Library, photos: Path, pack: Path
) -> None:
    take_in(library, photos, pack, ())
    rows(library.database, "DELETE FROM image_embeddings WHERE image_id = 1 RETURNING 1")
    rows(library.database, "UPDATE image_embeddings SET embedding = '[1,2]' WHERE image_id = 2 RETURNING 1")
    summary = run(library, pack)
    assert (summary.completed, summary.unavailable, summary.to_do) == (2, 2, 0)


def test_without_categories_of_its_own_a_library_gets_those_that_ship(
    database: Database, photos: Path, pack: Path
) -> None:
    library = Library(database)
    assert list_tags(library).is_shipped
    take_in(library, photos, pack)
    listed = list_tags(library)
    assert not listed.is_shipped
    assert [each.name for each in listed.categories] == [each.name for each in shipped_categories()]


def test_tags_and_times_of_missing_photos_do_not_count(tagged: Library, photos: Path) -> None:

    def colours() -> int:
        return sum(sum(each.tags.values()) for each in list_tags(tagged).categories)

    before = colours()
    rows(tagged.database, "UPDATE images SET taken = '2020-01-01' RETURNING 1")
    tagged.forget_paths([str(photos / "red.png")])
    assert 0 < colours() < before
    rows(tagged.database, "UPDATE images SET missing_since = now() RETURNING 1")
    assert colours() == 0
    assert tagged.database.run(times_of_photos) is None


def test_tags_of_another_source_stay_for_any_clip_model(tagged: Library, pack: Path, tmp_path: Path) -> None:
    rows(
        tagged.database,
        """WITH c AS (INSERT INTO tag_categories
                (name, target, source, selection_mode, min_confidence, templates, none_prompts)
                VALUES ('seen', 'scene', 'vision', 'multi', 0, '{}', '{}') RETURNING id),
            w AS (INSERT INTO tags (category_id, place, name, phrases) SELECT id, 0, 'animal', '{}' FROM c
                RETURNING id)
            INSERT INTO image_tags (image_id, tag_id, confidence) SELECT 1, id, 0.9 FROM w RETURNING 1""",
    )
    assert run(tagged, pack, StageRunOptions(force=True)).completed == 4
    found = tagged.database.run(lambda connection: of_image(connection, 1))
    assert [(each.tag, each.source, each.model) for each in found.scene if each.source != "clip"] == [
        ("animal", "vision", "")
    ]
    set_to(tagged, tmp_path, TAGS)
    assert tags_called(tagged, ["animal"])
    with pytest.raises(WrongUsage, match="seen belongs to vision"):
        set_to(tagged, tmp_path, TAGS.replace("[warm]", "[seen]"))


def test_tags_are_called_by_their_name_or_with_their_category(library: Library) -> None:
    (green,) = tags_called(library, ["GREEN"])
    assert tags_called(library, ["colour:green", "green"]) == (green,)
    with pytest.raises(WrongUsage, match="colour:red or warm:red"):
        tags_called(library, ["red"])
    assert tags_called(library, ["colour:red"]) != tags_called(library, ["warm:Red"])
    with pytest.raises(NotFound, match="Did you mean yellow"):
        tags_called(library, ["yelow"])
    with pytest.raises(NotFound, match="no tag warm:green"):
        tags_called(library, ["warm:green"])


def test_photos_are_found_by_all_of_their_tags_which_name_source_and_model(tagged: Library) -> None:

    def found(*asked: str) -> list[str]:
        hits = search_photos(tagged, filter_of(tagged, tags=asked), 10)
        return sorted(Path(hit.path).stem for hit in hits)

    assert found("colour:red") == ["red"]
    assert found("yellow") == ["green", "yellow"], "nothing is greener than yellow among the warm ones"
    assert found("warm:red", "colour:red") == ["red"]
    assert found("warm:red", "green") == []
    ((image,),) = rows(tagged.database, "SELECT image_id FROM image_paths WHERE path LIKE '%/red.png'")
    known = tagged.database.run(lambda connection: of_image(connection, image))
    assert [(each.category, each.tag, each.source, each.model) for each in known.scene] == [
        ("colour", "red", "clip", "tiny"),
        ("warm", "red", "clip", "tiny"),
    ]
    assert known.faces == {}


@pytest.mark.parametrize("change", ["target", "added", "dry run"])
def test_set_reports_its_changes(library: Library, tmp_path: Path, change: str) -> None:
    def file(text: str) -> Path:
        (tmp_path / "t.toml").write_text(text)
        return tmp_path / "t.toml"

    if change == "added":
        summary = set_tags(library, file(TAGS.replace("[warm]", "[cold]")))
        assert (summary.added, summary.changed, summary.unchanged) == (["cold"], [], ["colour"])
        assert len(list_tags(library).categories) == 3
        return
    dry = change == "dry run"
    text = TAGS.partition("[colour]")[0] + "[warm]" + TAGS.partition("[warm]")[2].replace("scene", "face")
    summary = set_tags(library, file(text), only=True, dry_run=dry)
    assert (summary.changed, summary.removed) == (["warm"], ["colour"])
    assert [each.target for each in list_tags(library).categories] == (["scene"] * 2 if dry else ["face"])


FACES = {"red": (40, 40, 80, 90), "blue": (150, 60, 200, 120)}
TAGS_OF_FACES = """
[shade]
target = "face"
templates = ["{}"]
none = ["green"]
words = ["red", "blue", "yellow"]
"""


@pytest.fixture
def with_faces(database: Database, pack: Path, tmp_path: Path) -> Library:
    """A photo with a red face and a blue one on green, one without faces, and categories about faces."""
    library = Library(database)
    set_to(library, tmp_path, TAGS_OF_FACES)
    pixels = np.full((160, 240, 3), PHOTOS["green"], np.uint8)
    for name, (left, top, right, bottom) in FACES.items():
        pixels[top - 25 : bottom + 25, left - 25 : right + 25] = PHOTOS[name]
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


def run_faces(library: Library, pack: Path, options: StageRunOptions | None = None) -> Result:
    return run(library, pack, options, stage="face-tags")


def tags_of_faces(library: Library) -> list[tuple[float, str, float]]:
    """Left edge of each face, its tag, and the confidence."""
    return rows(
        library.database,
        """SELECT f.x1, w.name, t.confidence FROM face_tags t JOIN face_detections f ON f.id = t.face_id
            JOIN tags w ON w.id = t.tag_id ORDER BY f.x1""",
    )


def test_each_face_gets_the_tag_of_its_own_crop_with_its_confidence(with_faces: Library, pack: Path) -> None:
    assert run_faces(with_faces, pack, StageRunOptions(dry_run=True)).to_do == 2
    assert run_faces(with_faces, pack).completed == 2
    found = tags_of_faces(with_faces)
    assert [(left, tag) for left, tag, _ in found] == [(40, "red"), (150, "blue")]
    for _, tag, confidence in found:
        exact = confidences(PHOTOS[tag], "red", "blue", "yellow", "green")
        assert confidence == pytest.approx(exact[tag], abs=2e-3)
    found_photos = search_photos(with_faces, filter_of(with_faces, tags=["shade:red", "blue"]), 10)
    assert [Path(hit.path).name for hit in found_photos] == ["two.png"]
    of_photo = with_faces.database.run(lambda connection: of_image(connection, 1))
    assert [[each.tag for each in of_face] for of_face in of_photo.faces.values()] == [["red"], ["blue"]]


def test_faces_of_photos_that_are_away_stay_pending_and_other_prompts_need_no_photo_again(
    with_faces: Library, pack: Path, tmp_path: Path
) -> None:
    (tmp_path / "two.png").rename(tmp_path / "away")
    summary = run_faces(with_faces, pack)
    assert (summary.completed, summary.unavailable) == (1, 1)
    (tmp_path / "away").rename(tmp_path / "two.png")
    assert run_faces(with_faces, pack).completed == 1
    assert len(tags_of_faces(with_faces)) == 2
    (tmp_path / "two.png").unlink()
    set_to(with_faces, tmp_path, TAGS_OF_FACES.replace('["red", "blue", "yellow"]', '["yellow", "blue"]'))
    summary = run_faces(with_faces, pack)
    assert (summary.completed, summary.unavailable) == (2, 0)
    assert [(left, tag) for left, tag, _ in tags_of_faces(with_faces)] == [(40, "yellow"), (150, "blue")]
    assert run_faces(with_faces, pack, StageRunOptions(force=True)).unavailable == 1


def test_a_face_that_goes_takes_its_tags_along_and_one_that_is_found_again_is_pending(
    with_faces: Library, pack: Path, tmp_path: Path
) -> None:
    run_faces(with_faces, pack)
    rows(with_faces.database, "DELETE FROM face_detections WHERE x1 = 40 RETURNING 1")
    assert [tag for _, tag, _ in tags_of_faces(with_faces)] == ["blue"]
    assert rows(with_faces.database, "SELECT count(*) FROM face_clip_embeddings") == [(1,)]
    other = replace(made_faces(1, seed=4), box=np.array([[150, 60, 201, 121]], np.float32))
    with with_faces.writing(SETTINGS):
        with_faces.commit([], [record(tmp_path / "two.png", other)])
    assert run_faces(with_faces, pack).completed == 1
    assert [(left, tag) for left, tag, _ in tags_of_faces(with_faces)] == [(150, "blue")]


def test_a_missing_category_of_faces_is_reported(with_faces: Library, pack: Path, tmp_path: Path) -> None:
    set_to(with_faces, tmp_path, TAGS_OF_FACES.replace('"face"', '"scene"'))
    with pytest.raises(WrongUsage, match="no tag category for faces"):
        run_faces(with_faces, pack)


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
    set_to(library, tmp_path, TAGS_OF_FACES.replace('"{}"]', '"{}"]\nmode = "multi"\nmin_confidence = 0.0'))
    assert "face-tags" not in IndexOptions().stages, "it costs as much again as CLIP of the photos"
    names = (*IndexOptions().stages, "face-tags")
    take_in(library, copy_photos(lfw_photos[:3], tmp_path / "photos"), pack, names, embedder)
    inline = tags_of_faces(library)
    ((faces,),) = rows(database, "SELECT count(*) FROM face_detections")
    assert len(inline) == 3 * faces > 0
    assert run_faces(library, pack).completed == 0
    assert run_faces(library, pack, StageRunOptions(force=True)).completed == 3
    assert sorted(tags_of_faces(library)) == sorted(inline)
