"""With the open pack a stranger who looks a little like somebody known joins nobody."""

import shutil
from pathlib import Path

import pytest

from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.operations.face_sets.discover import discover
from facesets.operations.face_sets.folder_labels import SortedFolders
from facesets.operations.face_sets.import_folders import import_folders
from facesets.operations.grouping.cluster import cluster
from facesets.operations.grouping.extend import extend
from facesets.operations.ingest.embed import embed
from facesets.operations.options.results import (
    DiscoverOptions,
    ExportSwapOptions,
    ExtendOptions,
    ImportFoldersOptions,
)
from facesets.operations.options.start import ClusterOptions, EmbedOptions, RefineOptions
from facesets.results.export_manifest import SetManifest
from facesets.results.manifest import ClusterManifest
from facesets.results.manifest_json import read_manifest
from facesets.sources.folders import FolderSource
from facesets.store.npz.cache import Cache
from facesets.work import Work

PERSON, FACES = "Abdoulaye_Wade", 4
STRANGER = "Andre_Smith"
"""At a cosine distance of 0.42 from the person's centroid."""


@pytest.fixture(scope="module")
def embedder(open_pack: Path) -> LocalEmbedder:
    return LocalEmbedder(read_pack(open_pack), det_size=256, min_det_score=0.5)


@pytest.fixture
def photos(tmp_path: Path, real_lfw: Path) -> Path:
    folder = tmp_path / "photos" / PERSON
    folder.mkdir(parents=True)
    for photo in sorted((real_lfw / PERSON).glob("*.jpg"))[:FACES]:
        shutil.copy2(photo, folder)
    return folder.parent


def add_stranger(photos: Path, lfw: Path) -> Path:
    folder = photos / "party"
    folder.mkdir()
    shutil.copy2(lfw / STRANGER / f"{STRANGER}_0001.jpg", folder)
    return folder


def embedded(photos: Path, embedder: LocalEmbedder) -> Cache:
    store = Cache(photos.parent / "faces.npz")
    with store.writing(embedder.settings):
        embed(FolderSource(photos), store, embedder, EmbedOptions(), work=Work())
    return store


def test_extend_leaves_the_stranger_alone_unless_told(
    photos: Path, embedder: LocalEmbedder, real_lfw: Path
) -> None:
    running = {"work": Work()}
    out = photos.parent / "people"
    cluster(embedded(photos, embedder), out, ClusterOptions(sheet=False), **running)  # type: ignore[arg-type]
    add_stranger(photos, real_lfw)
    store = embedded(photos, embedder)
    loose = ExtendOptions(threshold=0.55, dry_run=True)
    assert extend(store, out, loose, **running).raw.joined == {"person_001": 1}  # type: ignore[arg-type]
    found = extend(store, out, ExtendOptions(sheet=False), **running)  # type: ignore[arg-type]
    assert (found.raw.joined, found.raw.alone) == ({}, 1)
    assert read_manifest(out, ClusterManifest).extended[-1].options["threshold"] == 0.40


def test_neither_import_folders_nor_discover_take_the_stranger_for_the_person(
    photos: Path, embedder: LocalEmbedder, real_lfw: Path
) -> None:
    running = {"work": Work()}
    party = add_stranger(photos, real_lfw)
    store, out = embedded(photos, embedder), photos.parent / "swap"
    crops = ExportSwapOptions(min_face_short=60, out_size=64, sheet=False)
    folders = SortedFolders(people=(("Wade", photos / PERSON),), mixed=(party,))

    def routed(options: ImportFoldersOptions) -> int:
        done = import_folders(store, folders, out, embedder, options, crops, **running)  # type: ignore[arg-type]
        return int(done.people[0].routed)

    def known(options: DiscoverOptions) -> int:
        done = discover(store, out, [party], embedder, options, RefineOptions(), crops, **running)  # type: ignore[arg-type]
        return int(done.known)

    assert routed(ImportFoldersOptions()) == 0
    made = read_manifest(out / "Wade", SetManifest).made.options
    assert (made["route_threshold"], made["candidate_match_threshold"]) == (0.40, 0.40)
    assert known(DiscoverOptions()) == 0
    assert known(DiscoverOptions(known_threshold=0.45)) == 1
    assert routed(ImportFoldersOptions(route_threshold=0.45)) == 1
