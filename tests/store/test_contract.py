"""The contract of every store."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from facesets.file_records import FileRecord
from facesets.records import Collection, Faces, PoseSource
from facesets.store.npz.cache import Cache
from facesets.store.postgres.library import Library
from tests.fixtures.made_faces import SETTINGS, made_file, made_image

AnyStore = Cache | Library


@pytest.fixture(params=["cache", "library"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> AnyStore:
    if request.param == "cache":
        empty: AnyStore = Cache(tmp_path / "faces.npz")
    else:
        empty = Library(request.getfixturevalue("database"))
    return empty


def again(store: AnyStore) -> AnyStore:
    """Open the same store as another run of the program."""
    if isinstance(store, Cache):
        return Cache(store.path)
    return Library(store.database)


def faces_by_image(collection: Collection) -> dict[str, Faces]:
    names = [digest.decode() for digest in collection.images.sha256]
    return {
        name: collection.faces.take(collection.faces.image == row).with_image(
            np.zeros(int((collection.faces.image == row).sum()), np.int64)
        )
        for row, name in enumerate(names)
    }


def assert_same_faces(found: Faces, expected: Faces) -> None:
    assert found.columns().keys() == expected.columns().keys()
    for name, column in expected.columns().items():
        np.testing.assert_array_equal(found.columns()[name], column, err_msg=name)
        assert found.columns()[name].dtype == column.dtype, name


def test_an_empty_store_has_no_settings_and_knows_nothing(store: AnyStore) -> None:
    assert store.settings is None
    assert not store.files()
    assert not store.has_image("00" * 32)


def test_committed_data_is_read_back_bit_for_bit(store: AnyStore) -> None:
    images = [made_image("a", 3, "2021-05-06T07:08:09"), made_image("b", 0), made_image("c", 1)]
    files = [made_file(f"/photos/{i}.jpg", image) for i, image in enumerate(images)]
    with store.writing(SETTINGS):
        store.commit(files, images)
    loaded = again(store).load()
    assert loaded.settings == again(store).settings == SETTINGS
    assert [digest.decode() for digest in loaded.images.sha256] == [image.sha256 for image in images]
    assert loaded.images.paths == (("/photos/0.jpg",), ("/photos/1.jpg",), ("/photos/2.jpg",))
    assert loaded.images.taken[0] == np.datetime64("2021-05-06T07:08:09")
    assert np.isnat(loaded.images.taken[1])
    assert loaded.images.fingerprint[2].tobytes() == images[2].fingerprint
    found = faces_by_image(loaded)
    for image in images:
        assert_same_faces(found[image.sha256], image.faces)


def test_it_knows_its_files_and_images(store: AnyStore) -> None:
    image = made_image("a")
    unreadable = FileRecord("/photos/torn.jpg", 5, 6, "cc" * 32, "damaged: truncated")
    with store.writing(SETTINGS):
        store.commit([made_file("/photos/a.jpg", image, 77), unreadable], [image])
        assert store.has_image(image.sha256)
        assert store.has_images([image.sha256, "cc" * 32]) == {image.sha256}
    known = again(store).files()
    assert known["/photos/a.jpg"] == made_file("/photos/a.jpg", image, 77)
    assert known["/photos/torn.jpg"] == unreadable
    assert again(store).has_image(image.sha256)
    assert not again(store).has_image("cc" * 32)


def test_a_second_path_is_an_alias(store: AnyStore) -> None:
    image = made_image("a")
    with store.writing(SETTINGS):
        store.commit([made_file("/photos/a.jpg", image)], [image])
        store.commit([made_file("/copies/a.jpg", image)], [])
    assert again(store).load().images.paths == (("/photos/a.jpg", "/copies/a.jpg"),)


def test_committing_twice_is_committing_once(store: AnyStore) -> None:
    image = made_image("a", 3)
    with store.writing(SETTINGS):
        for _ in range(2):
            store.commit([made_file("/photos/a.jpg", image)], [image])
    loaded = again(store).load()
    assert len(loaded.images) == 1
    assert_same_faces(faces_by_image(loaded)[image.sha256], image.faces)


def test_an_image_known_before_is_replaced_in_its_place(store: AnyStore) -> None:
    first, second = made_image("a", 2), made_image("b", 2)
    with store.writing(SETTINGS):
        store.commit([made_file("/a.jpg", first), made_file("/b.jpg", second)], [first, second])
        changed = dataclasses.replace(first, faces=made_image("other", 3).faces, width=99)
        store.commit([], [changed])
    loaded = again(store).load()
    assert loaded.images.width.tolist() == [99, 640]
    assert_same_faces(faces_by_image(loaded)[first.sha256], changed.faces)
    assert_same_faces(faces_by_image(loaded)[second.sha256], second.faces)


def test_data_added_by_enrich_is_read_back(store: AnyStore) -> None:
    image, plain = made_image("a", 2), made_image("b", 1)
    rng = np.random.default_rng(3)
    richer = dataclasses.replace(
        image.faces,
        landmark_2d_106=rng.uniform(0, 100, (2, 106, 2)).astype(np.float32),
        pose=rng.uniform(-90, 90, (2, 3)).astype(np.float32),
        pose_source=np.full(2, PoseSource.KEYPOINTS, np.uint8),
        enrich_state=np.ones(2, np.uint8),
    )
    with store.writing(SETTINGS):
        store.commit([made_file("/a.jpg", image), made_file("/b.jpg", plain)], [image, plain])
        store.commit([], [dataclasses.replace(image, faces=richer)])
    loaded = again(store).load()
    found = faces_by_image(loaded)[image.sha256]
    assert_same_faces(found, richer)
    assert loaded.faces.pose is not None
    assert np.isnan(loaded.faces.pose[2]).all()


def test_a_path_with_changed_content_leads_to_the_new_image_only(store: AnyStore) -> None:
    old, new = made_image("old"), made_image("new")
    with store.writing(SETTINGS):
        store.commit([made_file("/a.jpg", old)], [old])
        store.commit([made_file("/a.jpg", new, 2)], [new])
    loaded = again(store).load()
    assert [digest.decode() for digest in loaded.images.sha256] == [new.sha256]
    assert loaded.face_ids() == tuple(f"{new.sha256}#{face}" for face in range(len(new.faces)))
    assert loaded.face_ids() is loaded.face_ids(), "asked once for each face, it must not be made each time"


@pytest.mark.parametrize("name", ["ümlaut.jpg", "not\udce9utf8.jpg", "\U0010fe41.jpg", "a\nb 'c'\\.jpg"])
def test_any_file_name_comes_back(store: AnyStore, name: str) -> None:
    image = made_image("a")
    with store.writing(SETTINGS):
        store.commit([made_file(f"/photos/{name}", image)], [image])
    assert again(store).load().images.paths == ((f"/photos/{name}",),)
    assert list(again(store).files()) == [f"/photos/{name}"]


def test_data_of_enrich_changes_nothing_else_and_restores_nothing(store: AnyStore) -> None:
    image, stranger = made_image("a", 2), made_image("never stored", 1)
    norm = image.faces.norm
    image = dataclasses.replace(image, faces=dataclasses.replace(image.faces, norm=None))
    found = dataclasses.replace(
        image.faces,
        norm=norm,
        pose=np.arange(6, dtype=np.float32).reshape(2, 3),
        pose_source=np.full(2, PoseSource.LANDMARKS_3D, np.uint8),
        enrich_state=np.ones(2, np.uint8),
        landmark_3d_68=np.full((2, 68, 3), 1.5, np.float32),
    )
    with store.writing(SETTINGS):
        store.commit([made_file("/a.jpg", image)], [image])
        annotated = [dataclasses.replace(image, faces=found), stranger, made_image("without a face", 0)]
        for _ in range(2):
            store.annotate(annotated)
        store.annotate([])
    loaded = again(store).load()
    assert len(loaded.images) == 1
    assert_same_faces(faces_by_image(loaded)[image.sha256], found)
    assert not again(store).has_image(stranger.sha256)
