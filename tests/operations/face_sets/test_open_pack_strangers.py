"""With the open pack, a stranger who slightly resembles a known person joins no person."""

import shutil
from pathlib import Path
from typing import Any

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
WORK: dict[str, Any] = {"work": Work()}


def test_a_stranger_joins_no_person_by_default(open_pack: Path, real_lfw: Path, tmp_path: Path) -> None:
    embedder = LocalEmbedder(read_pack(open_pack), det_size=256, min_det_score=0.5)
    store, people, swap = Cache(tmp_path / "faces.npz"), tmp_path / "people", tmp_path / "swap"
    wade, party = tmp_path / "photos" / PERSON, tmp_path / "photos" / "party"

    def take_in(photos: list[Path], folder: Path) -> None:
        folder.mkdir(parents=True)
        for photo in photos:
            shutil.copy2(photo, folder)
        with store.writing(embedder.settings):
            embed(FolderSource(folder.parent), store, embedder, EmbedOptions(), **WORK)

    take_in(sorted((real_lfw / PERSON).glob("*.jpg"))[:FACES], wade)
    cluster(store, people, ClusterOptions(sheet=False), **WORK)
    take_in([real_lfw / STRANGER / f"{STRANGER}_0001.jpg"], party)

    loose = ExtendOptions(threshold=0.55, dry_run=True)
    assert extend(store, people, loose, **WORK).raw.joined == {"person_001": 1}
    found = extend(store, people, ExtendOptions(sheet=False), **WORK)
    assert (found.raw.joined, found.raw.alone) == ({}, 1)
    assert read_manifest(people, ClusterManifest).extended[-1].options["threshold"] == 0.40

    crops = ExportSwapOptions(min_face_short=60, out_size=64, sheet=False)
    folders = SortedFolders(people=(("Wade", wade),), mixed=(party,))

    def routed(options: ImportFoldersOptions) -> int:
        return int(import_folders(store, folders, swap, embedder, options, crops, **WORK).people[0].routed)

    def known(options: DiscoverOptions) -> int:
        return int(discover(store, swap, [party], embedder, options, RefineOptions(), crops, **WORK).known)

    assert routed(ImportFoldersOptions()) == 0
    made = read_manifest(swap / "Wade", SetManifest).made.options
    assert (made["route_threshold"], made["candidate_match_threshold"]) == (0.40, 0.40)
    assert known(DiscoverOptions()) == 0
    assert known(DiscoverOptions(known_threshold=0.45)) == 1
    assert routed(ImportFoldersOptions(route_threshold=0.45)) == 1
