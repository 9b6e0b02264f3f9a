"""Age and sex reach the library and the cache in the run that takes photos in, or later by themselves."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.library_people import rows
from tests.fixtures.made_faces import made_faces
from tests.fixtures.photo_library import Library as PhotoLibrary
from tests.fixtures.taking_in import Intake, into_cache

from facesets.errors import WrongUsage
from facesets.face_attributes import FaceAttributes
from facesets.imaging.decode import Decoded
from facesets.inference.attributes import Attributes, attribute_model
from facesets.inference.landmarks import Landmarks
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.library_records import PhotosOfStage
from facesets.operations.ingest.enrich import enrich
from facesets.operations.ingest.stages import Photo, attributes_stage
from facesets.operations.library.findings import delete_findings
from facesets.operations.options.results import EnrichOptions
from facesets.records import Faces, Finding, Float32, ImageRecord, Int64, Pixels
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.work import Work


@pytest.fixture(scope="module")
def attributes(small_pack: Path) -> Attributes:
    model = attribute_model(read_pack(small_pack))
    assert model is not None
    return Attributes(model)


def raw(database: Database) -> list[dict[str, float]]:
    return [row for (row,) in rows(database, "SELECT raw FROM face_attributes ORDER BY face_id")]


def same_ages(one: Faces, other: Faces) -> None:
    for name in ("age", "male"):
        column, its = getattr(one, name), getattr(other, name)
        assert column is not None
        assert its is not None
        assert np.isfinite(column).all()
        np.testing.assert_array_equal(column, its)


def test_one_or_several_passes_and_both_stores_give_the_same_faces(
    intake: Intake, photos: Path, tmp_path: Path, embedder: LocalEmbedder, attributes: Attributes
) -> None:
    stage = attributes_stage(attributes)
    cached = into_cache(tmp_path / "faces.npz", photos, embedder, stage).faces
    intake.take_in(photos)
    library = intake.library
    assert library.load().faces.age is None
    assert intake.look(stage).completed == 5
    same_ages(library.load().faces, cached)
    assert len(raw(intake.database)) == len(cached)
    assert set(raw(intake.database)[0]) == {"female", "male", "age"}


def test_new_photos_have_age_and_sex_when_they_are_stored(
    intake: Intake, photos: Path, tmp_path: Path, embedder: LocalEmbedder, attributes: Attributes
) -> None:
    stage = attributes_stage(attributes)
    intake.take_in(photos, stage)
    library = intake.library
    same_ages(library.load().faces, into_cache(tmp_path / "faces.npz", photos, embedder, stage).faces)
    sexes = """SELECT DISTINCT sex = CASE WHEN male >= 0.8 THEN 'M' WHEN male <= 0.2 THEN 'F' ELSE 'U' END
        FROM face_detections"""
    assert rows(intake.database, sexes) == [(True,)]
    again = intake.look(stage)
    assert (again.completed, again.to_do) == (0, 0)
    assert intake.look(replace(stage, version="other"), dry_run=True).to_do == 5


def test_faces_that_are_found_again_without_the_stage_keep_their_age(
    intake: Intake, photos: Path, embedder: LocalEmbedder, attributes: Attributes
) -> None:
    intake.take_in(photos, attributes_stage(attributes))
    library = intake.library
    before = library.load()
    again = []
    for each in library.pending(PhotosOfStage("scene", "1"), after=0, limit=100):
        row = before.images.sha256.tolist().index(each.image.sha256.encode())
        found = np.flatnonzero(before.faces.image == row)
        faces = before.faces.take(found).with_image(np.zeros(len(found), np.int64))
        again.append(replace(each.image, faces=replace(faces, age=None, male=None), findings={}))
    assert len(again) == 5
    library.looking_for(embedder.settings, None).commit([], again)
    same_ages(library.load().faces, before.faces)


def enriched(
    library: PhotoLibrary, embedder: LocalEmbedder, landmarks: Landmarks, attributes: Attributes | None
) -> Result:
    store = library.store
    with store.writing(embedder.settings):
        return enrich(store, embedder, landmarks, EnrichOptions(), attributes=attributes, work=Work())


@pytest.mark.slow
def test_an_enriched_cache_of_an_older_version_gets_age_and_sex_once(
    library: PhotoLibrary,
    embedder: LocalEmbedder,
    landmark_pack: Path,
    attributes: Attributes,
    tmp_path: Path,
) -> None:
    landmarks = Landmarks(read_pack(landmark_pack))
    assert enriched(library, embedder, landmarks, None).aged == 0
    before = library.store.load().faces
    later = enriched(library, embedder, landmarks, attributes)
    assert (later.faces, later.aged, later.already) == (0, len(before), 0)
    after = library.store.load().faces
    stage = attributes_stage(attributes)
    same_ages(after, into_cache(tmp_path / "new.npz", library.photos, embedder, stage).faces)
    for name, column in before.columns().items():
        np.testing.assert_array_equal(column, getattr(after, name))
    assert enriched(library, embedder, landmarks, attributes).images == 0


class Noting:
    """A model that notes which bodies it was shown."""

    version = "1"

    def __init__(self) -> None:
        self.bodies: list[Float32 | None] = []

    def of(self, pixels: Pixels, box: Float32, body: Float32 | None = None) -> FaceAttributes:  # noqa: ARG002
        self.bodies.append(body)
        some = np.zeros(len(box), np.float32)
        return FaceAttributes(some, some, some[:, None], ("age",))


@dataclass(frozen=True)
class Bodies:
    box: Float32
    face: Int64


def test_bodies_that_the_same_run_found_are_shown_in_pixels_of_the_reduced_picture() -> None:
    pixels = np.zeros((50, 80, 3), np.uint8)
    decoded = Decoded(pixels, 160, 100)
    faces = made_faces(2)
    image = ImageRecord("0" * 64, 160, 100, np.datetime64("NaT"), bytes(32), faces)
    model = Noting()
    stage = attributes_stage(model)
    photo = Photo("a.jpg", b"", decoded)
    stage.look(photo, image)
    box = np.array([[0, 0, 9, 9], [20, 10, 60, 90]], np.float32)
    stage.look(photo, image.with_finding("bodies", Finding("1", Bodies(box, np.array([-1, 1])))))
    without, shown = model.bodies
    assert without is None
    assert shown is not None
    np.testing.assert_array_equal(shown, [[np.nan] * 4, [10, 5, 30, 45]])


def test_all_ages_can_be_deleted_and_are_found_again_when_asked_for(
    intake: Intake, photos: Path, attributes: Attributes
) -> None:
    stage = attributes_stage(attributes)
    intake.take_in(photos, stage)
    library = intake.library
    before = library.load().faces
    assert delete_findings(library, "attributes", dry_run=True).deleted == len(before)
    same_ages(library.load().faces, before)
    assert delete_findings(library, "attributes", dry_run=False).deleted == len(before)
    assert library.load().faces.age is None
    assert raw(intake.database) == []
    with pytest.raises(WrongUsage, match="cannot be deleted"):
        delete_findings(library, "detection", dry_run=False)
    assert intake.look(stage).completed == 5
    same_ages(library.load().faces, before)
