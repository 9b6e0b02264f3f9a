"""Tags of photos: colours as a network sees them whose answers are known, and what makes them again."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax
from tests.fixtures.clip import COLOURS, MEAN, STD, make_clip
from tests.fixtures.library_people import rows

from facesets.assembly.describing import Asked
from facesets.assembly.stages import StageModels, stages_of_run
from facesets.assembly.tags import run_tags
from facesets.cli import console
from facesets.errors import NotFound, WrongUsage
from facesets.inference import clip_text
from facesets.inference.clip_image import ClipVisual
from facesets.inference.clip_packs import read_clip
from facesets.inference.describer import LocalDescriber
from facesets.operations.ingest.index import index
from facesets.operations.ingest.stage_run import StageRunOptions
from facesets.operations.library.photo_search import filter_of
from facesets.operations.library.search import search_photos
from facesets.operations.library.stats import stages
from facesets.operations.library.tag_file import shipped_categories
from facesets.operations.library.tags import list_tags, set_tags, tags_called
from facesets.operations.options.index import IndexOptions
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
    path = make_clip(tmp_path / "root" / "clip" / "tiny")
    return scaled(path)


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


def take_in(library: Library, photos: Path, pack: Path, names: tuple[str, ...] = ("scene",)) -> None:
    describer = LocalDescriber(None, ClipVisual(read_clip(pack)))
    models = StageModels(library=library, describer=describer, clip_pack=str(pack))
    made = stages_of_run(names, models, load(), console, Work())
    index(GallerySource([photos]), library, describer, IndexOptions(), stages=made, work=Work())


def run(library: Library, pack: Path, options: StageRunOptions | None = None) -> Result:
    asked = Asked(clip_pack=str(pack), provider="cpu")
    return run_tags("scene", library, load(), asked, options or StageRunOptions(), Work())


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


def cosine(photo: str, word: str) -> float:
    """By hand: the mean of a plain photo is its colour, and the network keeps angles between colours."""
    seen = (np.array(PHOTOS[photo]) / 255 - MEAN) / STD
    return float(seen @ COLOURS[word] / np.linalg.norm(seen) / np.linalg.norm(COLOURS[word]))


def test_a_red_picture_gets_the_tag_red_with_the_confidence_by_hand(
    library: Library, photos: Path, pack: Path
) -> None:
    take_in(library, photos, pack)
    found = tags(library)
    for photo in ("red", "green", "blue"):
        words = ["red", "green", "blue", "yellow"]
        exact = softmax([SCALE * cosine(photo, word) for word in words])
        (colour,) = [name for name in found[photo] if name.startswith("colour:")]
        assert colour == f"colour:{photo}"
        assert found[photo][colour] == pytest.approx(exact[words.index(photo)], abs=2e-3)
    warm = softmax([SCALE * cosine("red", word) for word in ("red", "yellow")])
    assert found["red"]["warm:red"] == pytest.approx(warm[0], abs=2e-3)
    assert not any(name.startswith("colour:") for name in found["yellow"]), "none of these is the best"
    assert found["yellow"].keys() == {"warm:yellow"}


def test_a_run_over_the_library_gives_what_the_run_that_took_photos_in_gave(
    library: Library, photos: Path, pack: Path
) -> None:
    take_in(library, photos, pack)
    inline = tags(library)
    assert run(library, pack).completed == 0
    library.database.run(lambda connection: connection.execute("DELETE FROM image_tags"))
    for path in photos.iterdir():
        path.unlink()
    assert run(library, pack, StageRunOptions(force=True, max_images=3)).to_do == 1
    assert run(library, pack, StageRunOptions(force=True)).completed == 4
    assert tags(library) == inline


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
    library: Library, photos: Path, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(library, photos, pack)
    encoded = texts_encoded(monkeypatch)
    before = written(library)
    set_to(library, tmp_path, TAGS.replace('words = ["red", "yellow"]', 'words = ["red", "yellow", "green"]'))
    (scene,) = [each for each in stages(library).stages if each.stage == "scene"]
    assert (scene.pending, scene.completed) == (4, 0)
    assert run(library, pack).completed == 4
    assert set(encoded) == {"a photo of red", "a photo of yellow", "a photo of green"}
    after = written(library)
    assert {key: row for key, row in after.items() if key[1] == "colour"} == {
        key: row for key, row in before.items() if key[1] == "colour"
    }
    assert all(row not in before.values() for key, row in after.items() if key[1] == "warm")
    assert set(tags(library)["green"]) == {"colour:green", "warm:green"}
    (scene,) = [each for each in stages(library).stages if each.stage == "scene"]
    assert (scene.pending, scene.completed) == (0, 4)


def test_another_least_confidence_renews_tags_and_needs_no_text_again(
    library: Library, photos: Path, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(library, photos, pack)
    encoded = texts_encoded(monkeypatch)
    set_to(library, tmp_path, TAGS.replace("min_confidence = 0.3", "min_confidence = 0.0001"))
    assert run(library, pack).completed == 4
    assert encoded == []
    assert {"warm:red", "warm:yellow"} <= set(tags(library)["yellow"])


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


def test_a_category_that_goes_and_comes_back_is_tagged_again(
    library: Library, photos: Path, pack: Path, tmp_path: Path
) -> None:
    take_in(library, photos, pack)
    whole = tags(library)
    first = TAGS.partition("[warm]")[0]
    set_to(library, tmp_path, first)
    assert all(not name.startswith("warm") for of_photo in tags(library).values() for name in of_photo)
    set_to(library, tmp_path, TAGS, only=False)
    assert run(library, pack).completed == 4
    assert tags(library) == whole


def test_tags_that_are_no_more_go_at_once_and_others_stay_until_they_are_renewed(
    library: Library, photos: Path, pack: Path, tmp_path: Path
) -> None:
    take_in(library, photos, pack)
    set_to(library, tmp_path, TAGS.replace('["red", "green", "blue"]', '["red", "green"]'))
    assert not any(name.startswith("colour") for name in tags(library)["blue"])
    assert "colour:red" in tags(library)["red"]


def test_tags_of_another_model_never_stand_beside_those_of_the_one_before(
    library: Library, photos: Path, pack: Path, tmp_path: Path
) -> None:
    take_in(library, photos, pack)
    other = scaled(make_clip(tmp_path / "root" / "clip" / "other", seed=3, dimension=20))
    Image.new("RGB", (60, 40), (220, 10, 30)).save(photos / "new.png")
    of_images = """SELECT t.image_id, array_agg(DISTINCT m.name) FROM image_tags t
        JOIN models m ON m.id = t.model_id GROUP BY 1"""
    (photos / "blue.png").unlink()
    take_in(library, photos, other)
    by_image = [names for _, names in rows(library.database, of_images)]
    assert sorted(by_image) == [["other"]] * 4 + [["tiny"]]
    assert {each.dimension for each in library.clip_models()} == {48, 20}
    assert run(library, pack).completed == 3, (
        "the library's photos were embedded by both, but for the new one"
    )
    assert sorted(names for _, names in rows(library.database, of_images)) == [["other"]] + [["tiny"]] * 4


def test_another_logit_scale_makes_the_tags_pending(library: Library, photos: Path, pack: Path) -> None:
    take_in(library, photos, pack)
    (pack / "config.json").write_text("{}")
    before = tags(library)["red"]["colour:red"]
    assert run(library, pack).completed == 4
    assert tags(library)["red"]["colour:red"] > before


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


def test_tags_and_times_of_missing_photos_do_not_count(library: Library, photos: Path, pack: Path) -> None:
    take_in(library, photos, pack)

    def colours() -> int:
        return sum(sum(each.tags.values()) for each in list_tags(library).categories)

    before = colours()
    rows(library.database, "UPDATE images SET taken = '2020-01-01' RETURNING 1")
    library.forget_paths([str(photos / "red.png")])
    assert 0 < colours() < before
    rows(library.database, "UPDATE images SET missing_since = now() RETURNING 1")
    assert colours() == 0
    assert library.database.run(times_of_photos) is None


def test_what_is_known_of_a_photo_names_source_and_model(library: Library, photos: Path, pack: Path) -> None:
    take_in(library, photos, pack)
    ((image,),) = rows(library.database, "SELECT image_id FROM image_paths WHERE path LIKE '%/red.png'")
    found = library.database.run(lambda connection: of_image(connection, image))
    assert [(each.category, each.tag, each.source, each.model) for each in found.scene] == [
        ("colour", "red", "clip", "tiny"),
        ("warm", "red", "clip", "tiny"),
    ]
    assert found.faces == {}


def test_tags_of_another_source_stay_whatever_clip_is_asked(
    library: Library, photos: Path, pack: Path, tmp_path: Path
) -> None:
    take_in(library, photos, pack)
    rows(
        library.database,
        """WITH c AS (INSERT INTO tag_categories
                (name, target, source, selection_mode, min_confidence, templates, none_prompts)
                VALUES ('seen', 'scene', 'vision', 'multi', 0, '{}', '{}') RETURNING id),
            w AS (INSERT INTO tags (category_id, place, name, phrases) SELECT id, 0, 'animal', '{}' FROM c
                RETURNING id)
            INSERT INTO image_tags (image_id, tag_id, confidence) SELECT 1, id, 0.9 FROM w RETURNING 1""",
    )
    assert run(library, pack, StageRunOptions(force=True)).completed == 4
    found = library.database.run(lambda connection: of_image(connection, 1))
    assert [(each.tag, each.source, each.model) for each in found.scene if each.source != "clip"] == [
        ("animal", "vision", "")
    ]
    set_to(library, tmp_path, TAGS)
    assert tags_called(library, ["animal"])
    with pytest.raises(WrongUsage, match="seen is filled by vision"):
        set_to(library, tmp_path, TAGS.replace("[warm]", "[seen]"))


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


def test_photos_are_found_by_all_of_their_tags(library: Library, photos: Path, pack: Path) -> None:
    take_in(library, photos, pack)

    def found(*asked: str) -> list[str]:
        hits = search_photos(library, filter_of(library, tags=asked), 10)
        return sorted(Path(hit.path).stem for hit in hits)

    assert found("colour:red") == ["red"]
    assert found("yellow") == ["green", "yellow"], "nothing is greener than yellow among the warm ones"
    assert found("warm:red", "colour:red") == ["red"]
    assert found("warm:red", "green") == []


@pytest.mark.parametrize("change", ["target", "added", "dry run"])
def test_set_says_what_it_changes(library: Library, tmp_path: Path, change: str) -> None:
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
