"""`/faces` and `/assets`; pictures of faces are upright, made once, limited in size, and forgotten."""

import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from facesets import settings
from facesets.errors import UnreadableImage
from facesets.imaging.originals import Picture, read_decoded
from facesets.operations.people.forgetting.forget import forget
from facesets.store.postgres.photos.images import pictures_of_faces
from facesets.store.stored_crops import FOLDER, remove_pictures
from facesets.web import crops
from facesets.web.crops import CropStore
from facesets.work import SilentProgress, Work
from tests.fixtures.program import run
from tests.fixtures.website import BASE, Website


def _four_colours() -> Image.Image:
    """A picture that looks different whichever way it is turned."""
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:60, :80], pixels[:60, 80:], pixels[60:, :80] = (220, 40, 40), (40, 220, 40), (40, 40, 220)
    pixels[60:, 80:] = (220, 220, 40)
    return Image.fromarray(pixels)


def _photo(path: Path, orientation: int = 1) -> Picture:
    """A photo stored in this orientation, which shows the four colours upright."""
    undo = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    stored = _four_colours()
    stored.getexif()[0x0112] = undo
    stored = ImageOps.exif_transpose(stored)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, quality=95, exif=exif)
    return Picture(sha256(path.read_bytes()).hexdigest(), (str(path),), 160, 120, (50, 30, 110, 90))


@pytest.fixture
def store(tmp_path: Path) -> CropStore:
    return CropStore(tmp_path / "crops", 10_000_000)


def picture_of(website: Website, face: int) -> Picture:
    with website.site.library() as session:
        return session.run(lambda each: pictures_of_faces(each, [face]))[face]


def a_person(website: Website) -> tuple[str, int]:
    """A person, and a face of theirs."""
    query = "SELECT person_id::text, id FROM face_detections WHERE person_id IS NOT NULL LIMIT 1"
    ((who, face),) = website.rows(query)
    return who, face


def _pixels(content: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), np.int16)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_right(tmp_path: Path, store: CropStore, orientation: int) -> None:
    upright = store.face(_photo(tmp_path / "upright.png"), 96).result()
    turned = store.face(_photo(tmp_path / "turned.jpg", orientation), 96).result()
    assert np.abs(_pixels(upright) - _pixels(turned)).mean() < 6
    whole = _pixels(store.photo(_photo(tmp_path / "turned.jpg", orientation), 160).result())
    assert whole.shape == (120, 160, 3)
    corners = [whole[y, x] for y, x in ((20, 20), (20, 140), (100, 20), (100, 140))]
    wanted = [(220, 40, 40), (40, 220, 40), (40, 40, 220), (220, 220, 40)]
    assert np.abs(np.array(corners) - np.array(wanted)).max() < 16


def test_pictures_contain_no_location(tmp_path: Path, store: CropStore) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home"
    path = tmp_path / "a.jpg"
    _four_colours().save(path, exif=exif)
    picture = Picture(sha256(path.read_bytes()).hexdigest(), (str(path),), 160, 120, (50, 30, 110, 90))
    for content in (store.face(picture, 96).result(), store.photo(picture, 96).result()):
        assert not Image.open(io.BytesIO(content)).getexif()
        assert b"at home" not in content


def test_a_picture_requested_by_many_is_made_once(
    tmp_path: Path, store: CropStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = _photo(tmp_path / "a.jpg")
    decoded = []

    def counted(*arguments: Any, **named: Any) -> Any:
        decoded.append(threading.get_ident())
        return read_decoded(*arguments, **named)

    monkeypatch.setattr(crops, "read_decoded", counted)
    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: store.face(picture, 160).result(), range(64)))
    assert (len(decoded), len(found)) == (1, 1)


@pytest.mark.parametrize("left", [b"", b"\xff\xd8\xff\xe0 half of a picture", b"something else\xff\xd9"])
def test_a_damaged_cached_picture_is_made_again(tmp_path: Path, store: CropStore, left: bytes) -> None:
    picture = _photo(tmp_path / "a.jpg")
    whole = store.face(picture, 96).result()
    [stored] = (tmp_path / "crops").rglob("*.jpg")
    stored.write_bytes(left)
    assert store.face(picture, 96).result() == whole
    assert stored.read_bytes() == whole


def test_cached_pictures_are_private(tmp_path: Path) -> None:
    CropStore(tmp_path / "cache" / "crops", 10_000_000).face(_photo(tmp_path / "a.jpg"), 96).result()
    stored = list((tmp_path / "cache" / "crops").rglob("*"))
    assert {(path.is_dir(), path.stat().st_mode & 0o077) for path in stored} == {(True, 0), (False, 0)}


def test_a_disk_that_cannot_be_written_hides_no_face(tmp_path: Path) -> None:
    (tmp_path / "crops").write_text("no folder")
    assert CropStore(tmp_path / "crops", 10_000_000).face(_photo(tmp_path / "a.jpg"), 96).result()


def test_the_cache_stays_within_its_limit(tmp_path: Path) -> None:
    directory, most = tmp_path / "crops", 60_000
    store = CropStore(directory, most)
    left = directory / "aa" / "bb" / "killed.jpg.1.2.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x" * 10_000)
    os.utime(left, (1, 1))
    rng = np.random.default_rng(1)
    first = None
    for number in range(30):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (100, 100, 3), np.uint8)).save(path)
        picture = Picture(sha256(path.read_bytes()).hexdigest(), (str(path),), 100, 100, (20, 20, 80, 80))
        first = first or picture
        store.face(picture, 96).result()
        total = sum(each.stat().st_size for each in directory.rglob("*") if each.is_file())
        assert total < most * 1.3
    assert not left.exists()
    assert store.face(first, 96).result()  # type: ignore[arg-type]


def test_a_missing_photo_is_an_error_and_a_picture_once_restored(tmp_path: Path, store: CropStore) -> None:
    picture = _photo(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "unmounted")
    with pytest.raises(UnreadableImage):
        store.face(picture, 96).result()
    (tmp_path / "unmounted").rename(tmp_path / "a.jpg")
    assert store.face(picture, 96).result()


def test_a_missing_photo_is_a_placeholder_on_pages_and_an_error_for_programs(
    website: Website,
) -> None:
    picture = picture_of(website, 1)
    path = Path(picture.paths[0])
    by_page = {"v": picture.sha256[:16]}
    path.rename(path.with_suffix(".away"))
    try:
        face = website.client.get(f"{BASE}/faces/1/crop", params=by_page)
        photo = website.client.get(f"{BASE}/assets/{picture.sha256}/picture", params=by_page)
        output = website.client.get(f"{BASE}/faces/1/crop")
    finally:
        path.with_suffix(".away").rename(path)
    for shown in (face, photo):
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/svg+xml")
        assert shown.headers["cache-control"] == "no-store"
    # A photo's placeholder fills the frame with the faces' boxes, and shows no one.
    assert 'preserveAspectRatio="xMidYMid slice"' in photo.text
    assert photo.text != face.text
    assert output.status_code == 404
    assert output.json()["detail"] == (
        "Cannot show the photo: file not found. Connect its drive, or restore the file."
    )
    assert str(path.parent) not in output.text


def test_all_that_was_made_of_a_photo_can_be_removed(tmp_path: Path, store: CropStore) -> None:
    one, other = _photo(tmp_path / "a.jpg"), _photo(tmp_path / "b.jpg", 6)
    for picture in (one, other):
        store.face(picture, 96).result()
        store.photo(picture, 96).result()
    assert remove_pictures(tmp_path / "crops", [one.sha256, "0" * 64]) == 2
    left = [path for path in (tmp_path / "crops").rglob("*") if path.is_file()]
    assert {path.parent.name for path in left} == {other.sha256}
    assert remove_pictures(tmp_path / "nothing", [one.sha256]) == 0


def test_forgetting_a_person_removes_their_pictures(website: Website, album_url: str) -> None:
    stored = settings.load().cache_dir / FOLDER
    who, face = a_person(website)
    picture = picture_of(website, face)
    store = CropStore(stored, 10_000_000)
    store.face(picture, 96).result()
    store.photo(picture, 160).result()
    folder = stored / picture.sha256[:2] / picture.sha256
    assert len(list(folder.iterdir())) == 2
    done = run("people", "forget", who, "--database", album_url, "--yes")
    assert done.status == 0, done.err
    assert not folder.exists()


class LooksMeanwhile(SilentProgress):
    """Has a page shown once the files are done and the library is about to be."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:  # noqa: ARG002
        """Look."""
        if what == "Erasing from the library":
            self._look()


def test_pictures_made_during_forgetting_are_removed_too(website: Website) -> None:
    store = website.site.crops
    who, face = a_person(website)
    with website.site.library() as session:
        look = partial(website.client.get, f"{BASE}/faces/{face}/crop")
        forget(session, who, pictures=store.directory, work=Work(by="me", progress=LooksMeanwhile(look)))
    assert not [path for path in store.directory.rglob("*") if path.is_file()]


def together(website: Website) -> dict[str, Any]:
    """A face of the photo with three people."""
    for face in range(1, 30):
        found: dict[str, Any] = website.get(f"/faces/{face}")
        if website.get(f"/assets/{found['assetId']}")["total"] == 3:
            return found
    raise AssertionError("no photo has three faces")


def test_a_face_has_the_fields_of_the_api(onlooked: Website) -> None:
    face = onlooked.get("/faces/1")
    assert face["bbox"].keys() == {"x", "y", "width", "height"}
    assert (face["bbox"]["width"], face["bbox"]["height"], face["detectionConfidence"]) == (150, 150, 0.9)
    assert 0 <= face["qualityScore"] <= 1
    assert face["personId"] is not None
    assert (face["personName"], len(face["assetId"])) == (None, 64)
    assert "T" in face["createdAt"]
    assert "clusterId" in face


def test_the_faces_of_a_photo_come_in_pages(onlooked: Website) -> None:
    photo = together(onlooked)["assetId"]
    page = onlooked.get(f"/assets/{photo}", pageSize=2)
    assert (page["total"], len(page["items"])) == (3, 2)
    assert page["items"][0]["bbox"]["x"] < page["items"][1]["bbox"]["x"]
    assert len(onlooked.get(f"/assets/{photo}", pageSize=2, page=2)["items"]) == 1


def test_a_face_is_explained(onlooked: Website) -> None:
    why = onlooked.get("/faces/1/explain")
    assert why["faceId"] == 1
    assert why["about"]["cosineSimilarity"] > 0.6
    assert why["about"]["nearest"][0].keys() == {"faceId", "cosineSimilarity"}
    assert "`assign` gives it" in why["verdict"]
    assert why["thresholds"]["assign"] > 0
