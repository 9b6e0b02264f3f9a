import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facesets.errors import DamagedFile, NewerFormat, WrongUsage
from facesets.records import CacheSettings
from facesets.results.export_manifest import ExportManifest, SetEntry
from facesets.results.manifest import (
    ClusterManifest,
    DroppedFace,
    FaceEntry,
    Failure,
    Group,
    ImageEntry,
    PlacedFile,
    Provenance,
    RefineManifest,
)
from facesets.results.manifest_json import is_manifest, manifest_bytes, read_any_manifest, read_manifest

MODELS = CacheSettings("buffalo_l", "w600k_r50.onnx", "ab" * 32, 512, "det_10g.onnx", "cd" * 32, 640, 0.5)
MADE = Provenance(program="0.1.0", cache="/c.npz", models=MODELS, options={"threshold": 0.55})
FACE = FaceEntry(
    "ef" * 32 + "#0", ("/a/\udcff b\n.jpg", "/b.jpg"), (1.5, 2, 3, 4), (0.25,) * 10, 0.9, 92, 120, 0.7
)
CLUSTERED = ClusterManifest(
    made=MADE,
    reasons=("Cut at 0.55.",),
    counts={"faces": 1},
    persons=(Group("person_001", 1, (FACE,)),),
    singletons=(FACE,),
    no_face=(ImageEntry("00" * 32, ("/c.jpg",)),),
    failed=(Failure("/d.jpg", "gone"),),
    missing=(Failure("/e.jpg", "gone"),),
    files={"person_001/a": PlacedFile("/a", 12, 10**18), "person_001/\udcfe": PlacedFile("/\udcfe", 1, 1)},
    sheets=("contact_sheet.png",),
    placements={FACE.face: "core"},
)
REFINED = RefineManifest(
    made=MADE,
    counts={},
    facesets=(),
    dropped=(DroppedFace(FACE, "cluster_001", "min_blur", 12.5, 40),),
    failed=(),
    missing=(),
    files={},
    sheets=(),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.json"
    path.write_bytes(manifest_bytes(CLUSTERED))
    return path


@pytest.mark.parametrize("manifest", [CLUSTERED, REFINED])
def test_manifests_read_back_as_written(tmp_path: Path, manifest: ClusterManifest | RefineManifest) -> None:
    (tmp_path / "m.json").write_bytes(manifest_bytes(manifest))
    assert read_any_manifest(tmp_path / "m.json") == manifest


def test_a_folder_stands_for_its_manifest(path: Path) -> None:
    assert read_manifest(path.parent, ClusterManifest) == CLUSTERED
    assert is_manifest(path.parent)


def test_another_kind_of_manifest_is_refused(path: Path) -> None:
    with pytest.raises(WrongUsage, match="facesets/refine manifest is required"):
        read_manifest(path, RefineManifest)


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="Manifest not found"):
        read_any_manifest(tmp_path / "nothing.json")
    (tmp_path / "other.json").write_text('{"name": "package"}')
    with pytest.raises(WrongUsage, match="not a manifest"):
        read_any_manifest(tmp_path / "other.json")


def test_a_later_version_is_refused_by_name(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"version": 4', b'"version": 5', 1))
    with pytest.raises(NewerFormat, match="later version of facesets"):
        read_any_manifest(path)


def test_an_earlier_version_is_read(path: Path) -> None:
    raw = json.loads(path.read_text())
    del raw["missing"], raw["reasons"], raw["placements"]
    path.write_text(json.dumps(raw | {"version": 1, "files": {"person_001/a": "/a"}}))
    files = {"person_001/a": PlacedFile("/a", -1, -1)}
    earlier = replace(CLUSTERED, missing=(), reasons=(), files=files, placements={})
    assert read_manifest(path, ClusterManifest) == earlier


def test_an_export_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    entry = SetEntry("Anna", "folders#Anna", "imported", (), 3, 0, 0, 0, ())
    export = ExportManifest(made=CLUSTERED.made, counts={}, sets=(entry,), removed=(entry,), sheets=())
    raw = json.loads(manifest_bytes(export))
    for each in (*raw["sets"], *raw["removed"]):
        del each["best"]
    (tmp_path / "manifest.json").write_text(json.dumps(raw | {"version": 3}))
    assert read_manifest(tmp_path, ExportManifest) == export


def test_a_cache_in_place_of_a_manifest_is_not_reported_as_damaged(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), det_score=np.zeros(1))
    with pytest.raises(WrongUsage, match=r"is a cache\. Give a manifest"):
        read_any_manifest(path.with_suffix(".npz"))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"format": "facesets/cluster"}'])
def test_a_damaged_file_is_reported_as_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"is damaged: .*(it is n|is missing)"):
        read_any_manifest(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("persons", 3),
        ("files", []),
        ("files", {"../a": {"source": "/a", "size": 1, "mtime_ns": 1}}),
        ("files", {"a": {"source": "/a", "size": 1 << 63, "mtime_ns": 1}}),
        ("sheets", ["../victim.png"]),
        ("counts", {"faces": "x"}),
        ("counts", {"faces": True}),
        ("placements", {"\0": "core"}),
        (r"persons\[0\].name", [{"name": "a/b", "images": 1, "faces": []}]),
        (r"failed\[1\].reason", [{"path": "/a", "reason": "x"}, {"path": "/b"}]),
        (r"no_face\[0\].sha256", [{"sha256": "\ud800", "paths": []}]),
        ("made", {"program": "0.1.0"}),
    ],
)
def test_a_field_that_makes_no_sense_is_named(path: Path, field: str, value: object) -> None:
    name = re.split(r"\W", field)[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(DamagedFile, match=f"damaged: {field}"):
        read_any_manifest(path)
