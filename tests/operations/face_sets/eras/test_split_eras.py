"""Eras on real photos with made dates and made vectors: LFW has no ages (see `Drifting`)."""

import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.fixtures.program import run as run_program
from tests.fixtures.trees import contents

from facesets.errors import WrongUsage
from facesets.imaging.decode import decode
from facesets.inference.local import LocalEmbedder
from facesets.interfaces import Embedder
from facesets.operations.face_sets.discover import known_sets
from facesets.operations.face_sets.eras.capture_years import FILE_NAME
from facesets.operations.face_sets.eras.person import EraRequest
from facesets.operations.face_sets.eras.split_eras import probe_eras, split_eras
from facesets.operations.face_sets.folder_labels import SortedFolders
from facesets.operations.face_sets.import_folders import import_folders
from facesets.operations.ingest.embed import embed
from facesets.operations.options.results import ExportSwapOptions, ImportFoldersOptions, SplitErasOptions
from facesets.operations.options.start import EmbedOptions
from facesets.records import Collection
from facesets.result import Result
from facesets.results.earlier_export import EarlierExport
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.manifest_json import manifest_bytes, read_manifest
from facesets.results.ownership import ANNOUNCEMENT
from facesets.sources.folders import FolderSource
from facesets.store.npz.cache import Cache
from facesets.work import Work

pytestmark = pytest.mark.slow

TASTE = SplitErasOptions(
    recover_threshold=0.55,
    recentre_threshold=0.50,
    min_era_faces=8,
    min_short=60,
    min_blur=0,
    min_det_score=0,
)
EXPORT = ExportSwapOptions(
    min_face_short=60, top_n=4, out_size=128, verify_max_distance=2, duplicate_max_bits=0, sheet=False
)
# Direction, first year, and faces of each group.
GROUPS = {
    "young": ((0.697, -0.717, 0.0), 1998, 10),
    "old": ((0.697, 0.717, 0.0), 2008, 10),
    "late": ((0.849, 0.217, 0.482), 2012, 3),
    "stray": ((0.849, -0.217, -0.482), 2019, 2),
    "single": ((1.0, 0.0, 0.0), 1985, 1),
}


class Drifting(Cache):
    """A cache in which one person's vectors turn with the years; everything else is as it is.

    Anchors are `young` and `old`. `late` is near `old` in face and years; `stray` is as near to `young` in
    face, but from other years; `single` is alone.
    """

    def load(self) -> Collection:
        whole = super().load()
        names = [Path(whole.images.paths[image][0]) for image in whole.faces.image]
        rows = np.array([vector(group_of(name), row) for row, name in enumerate(names)], np.float32)
        return replace(whole, faces=replace(whole.faces, embedding=rows))


def group_of(photo: Path) -> str:
    return photo.stem.rpartition(" ")[0].rpartition("_")[2]


def vector(group: str, seed: int) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).standard_normal(512)
    noise[:3] = 0
    a = 0.7 if group == "single" else 0.9
    unit = np.zeros(512)
    direction = np.array(GROUPS[group][0])
    unit[:3] = direction / np.linalg.norm(direction)
    turned: NDArray[np.float64] = a * unit + np.sqrt(1 - a * a) * noise / np.linalg.norm(noise)
    return turned


@dataclass(frozen=True)
class Life:
    photos: Path
    store: Drifting


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, lfw_dir: Path, embedder: LocalEmbedder) -> Life:
    root = tmp_path_factory.mktemp("life")
    (root / "photos").mkdir()
    people = [sorted((lfw_dir / name).glob("*.jpg")) for name in ("Hugo_Chavez", "Colin_Powell")]
    faces = (p for p in (*people[0], *people[1]) if len(embedder.embed([decode(p).pixels])[0]) == 1)
    for group, (_, first, count) in GROUPS.items():
        for number in range(count):
            year = first + number % 4
            exif = Image.Exif()
            exif[0x0110] = f"{group} {number}"
            name = f"{group} {number}.jpg"
            if number % 3 == 0:
                name = f"IMG-{year}0506-WA000{number}_{name}"
            else:
                exif[0x0132] = f"{year}:05:06 10:00:00"
            Image.open(next(faces)).save(root / "photos" / name, exif=exif, quality=95)
    store = Drifting(root / "faces.npz")
    store.require(embedder.settings)
    with store.writing(embedder.settings):
        embed(FolderSource(root), store, embedder, EmbedOptions(), work=Work())
    return Life(root / "photos", store)


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, life: Life, checker: Embedder) -> Path:
    """An export with one curated set of the whole life."""
    out = tmp_path_factory.mktemp("curated") / "swap"
    import_folders(
        life.store,
        SortedFolders(people=(("Hugo", life.photos),)),
        out,
        checker,
        ImportFoldersOptions(first_threshold=0.9, second_threshold=0.9),
        replace(EXPORT, outlier_threshold=0.9),
        work=Work(),
    )
    return out


Split = Callable[..., Result]


@pytest.fixture(scope="module")
def split(life: Life, checker: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Split:
    years = tmp_path_factory.mktemp("years") / FILE_NAME

    def split(
        out: Path,
        options: SplitErasOptions = TASTE,
        export: ExportSwapOptions = EXPORT,
        roots: tuple[Path, ...] = (),
        name: str = "Hugo",
        *,
        force: bool = False,
    ) -> Result:
        request = EraRequest(out, name, roots, years, 2026, force)
        return split_eras(life.store, request, checker, options, export, work=Work())

    return split


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, curated: Path, split: Split) -> tuple[Path, Result]:
    """An export with eras that no test changes."""
    out = shutil.copytree(curated, tmp_path_factory.mktemp("eras") / "swap")
    return out, split(out)


@pytest.fixture
def out(tmp_path: Path, curated: Path) -> Path:
    """An export with the curated set, for one test."""
    return shutil.copytree(curated, tmp_path / "swap")


@pytest.fixture
def eras(tmp_path: Path, done: tuple[Path, Result]) -> Path:
    """An export with its eras, for one test."""
    return shutil.copytree(done[0], tmp_path / "eras" / "swap")


def groups(out: Path, name: str) -> dict[str, int]:
    faces = read_manifest(out / name, SetManifest).faces
    return Counter(group_of(Path(item.face.paths[0])) for item in faces)


def test_a_life_falls_into_its_eras(done: tuple[Path, Result]) -> None:
    out, summary = done
    assert {(era.set, era.faces, era.fragments, era.thin) for era in summary.eras} == {
        ("Hugo_1998-2001", 10, 0, False),
        ("Hugo_2008-2014", 13, 1, False),
        ("_thin/Hugo_2019-2020", 2, 0, True),
    }
    assert summary.left_out == 1
    assert groups(out, "Hugo_1998-2001") == {"young": 10}
    assert groups(out, "Hugo_2008-2014") == {"old": 10, "late": 3}
    assert groups(out, "_thin/Hugo_2019-2020") == {"stray": 2}
    assert (summary.years.by_exif, summary.years.by_name, summary.years.unknown) == (15, 11, 0)


def test_an_era_has_bundles_and_a_description(done: tuple[Path, Result]) -> None:
    out, _ = done
    era, thin = out / "Hugo_1998-2001", out / "_thin" / "Hugo_2019-2020"
    assert {p.name for p in era.iterdir() if p.suffix != ".png"} == {
        "ERA.txt",
        "manifest.json",
        "Hugo_1998-2001_top4.fsz",
        "Hugo_1998-2001_all.fsz",
    }
    assert "1998: 3" in (era / "ERA.txt").read_text("utf-8")
    assert "2 of the 2 faces" in (thin / "THIN.txt").read_text("utf-8")
    assert {entry.kind for entry in read_manifest(out, ExportManifest).sets} == {"imported", "era"}


def test_the_set_itself_is_left_byte_for_byte(done: tuple[Path, Result], curated: Path) -> None:
    assert contents(done[0] / "Hugo") == contents(curated / "Hugo")


def test_eras_do_not_stand_for_a_person_in_discover(
    done: tuple[Path, Result], curated: Path, life: Life
) -> None:
    whole = life.store.load()
    with_eras, without = (
        known_sets(EarlierExport(folder, read_manifest(folder, ExportManifest)), whole)
        for folder in (done[0], curated)
    )
    assert np.array_equal(with_eras.centroids, without.centroids)


def test_a_dry_run_shows_what_a_run_does_and_writes_nothing(
    out: Path, curated: Path, done: tuple[Path, Result], split: Split
) -> None:
    reported = split(out, export=replace(EXPORT, dry_run=True))
    assert reported.eras == done[1].eras
    assert contents(out) == contents(curated)


def test_a_new_split_replaces_the_eras_of_that_set_and_nothing_else(
    eras: Path, done: tuple[Path, Result], split: Split
) -> None:
    other = split(eras, replace(TASTE, join_years=0))
    assert other.gone == ["Hugo_2008-2014"]
    assert {era.set for era in other.eras} == {
        "Hugo_1998-2001",
        "Hugo_2008-2011",
        "_thin/Hugo_2012-2014",
        "_thin/Hugo_2019-2020",
    }
    assert not (eras / "Hugo_2008-2014").exists()
    assert contents(eras / "Hugo") == contents(done[0] / "Hugo")
    split(eras)
    assert contents(eras) == contents(done[0])


def test_a_crop_that_was_deleted_from_the_set_is_in_no_era(out: Path, split: Split) -> None:
    item = next(i for i in read_manifest(out / "Hugo", SetManifest).faces if "young" in i.face.paths[0])
    (out / "Hugo" / item.file).unlink()
    summary = split(out)
    assert groups(out, "Hugo_1998-2001") == {"young": 9}
    assert summary.recovered == 25


def crop_of(out: Path, name: str, group: str) -> Path:
    faces = read_manifest(out / name, SetManifest).faces
    return out / name / next(item.file for item in faces if group_of(Path(item.face.paths[0])) == group)


@pytest.mark.parametrize("cut_off", [False, True], ids=["", "after a run that was cut off"])
def test_an_edited_crop_outlives_its_era(eras: Path, split: Split, cut_off: bool) -> None:
    crop = crop_of(eras, "Hugo_2008-2014", "old")
    crop.write_bytes(b"retouched")
    if cut_off:
        (eras / ANNOUNCEMENT).write_text("{}")
    reported = split(eras, replace(TASTE, join_years=0), replace(EXPORT, dry_run=True))
    summary = split(eras, replace(TASTE, join_years=0))
    assert summary.gone == ["Hugo_2008-2014"]
    assert (eras / "_edited" / "Hugo_2008-2014" / crop.name).read_bytes() == b"retouched"
    assert not (eras / "Hugo_2008-2014").exists()
    assert summary.export
    assert reported.export
    assert cut_off or f"Hugo_2008-2014/{crop.name} was edited" in " ".join(summary.export.learned)
    assert reported.export.learned == summary.export.learned


def test_corrections_of_an_era_apply_to_its_successor(eras: Path, split: Split) -> None:
    for group in ("old", "late"):
        crop_of(eras, "Hugo_2008-2014", group).unlink()
    (eras / "Hugo_2008-2014").rename(eras / "Hugo as a man")
    summary = split(eras, replace(TASTE, join_years=0))
    assert summary.gone == []
    assert groups(eras, "Hugo as a man") == {"old": 9}
    assert groups(eras, "_thin/Hugo_2012-2014") == {"late": 2}
    after = contents(eras)
    assert {era.state for era in split(eras, replace(TASTE, join_years=0)).eras} == {"unchanged"}
    assert contents(eras) == after
    split(eras)
    assert groups(eras, "Hugo as a man") == {"old": 9, "late": 2}
    assert {path.name for path in eras.glob("Hugo*")} == {"Hugo", "Hugo as a man", "Hugo_1998-2001"}


@pytest.mark.usefixtures("shared_dir")  # The open pack gives no norms.
def test_faces_that_show_too_little_are_in_no_era_on_request(
    curated: Path, life: Life, tmp_path: Path
) -> None:
    norm = life.store.load().faces.norm
    assert norm is not None
    request = EraRequest(curated, "Hugo", (), tmp_path / FILE_NAME, 2026)
    limit = float(np.sort(norm)[3])
    asked = replace(TASTE, min_norm=limit)
    probed = probe_eras(life.store, request, asked, dry_run=True, work=Work())
    assert probed.dropped_by["min_norm"] == (norm < limit).sum() == 3
    assert probed.recovered == probed.near - 3


def test_a_set_with_a_renamed_folder_is_split_by_its_new_name(
    out: Path, done: tuple[Path, Result], split: Split
) -> None:
    (out / "Hugo").rename(out / "Hugo C")
    with pytest.raises(WrongUsage, match=r"Available: Hugo C\."):
        split(out, name="Hugo")
    assert [era.faces for era in split(out, name="Hugo C").eras] == [era.faces for era in done[1].eras]
    assert groups(out, "Hugo C_1998-2001") == {"young": 10}


def test_only_photos_below_the_roots_count(out: Path, tmp_path: Path, split: Split, life: Life) -> None:
    one = next(life.photos.glob("young*"))
    with pytest.raises(WrongUsage, match=r"Hugo was not split\. No sub-cluster has 8 faces"):
        split(out, roots=(one,))
    forced = split(out, roots=(one,), force=True)
    assert forced.recovered == 1
    assert forced.forced.startswith("No sub-cluster")
    with pytest.raises(WrongUsage, match="No faces found in"):
        split(out, roots=(tmp_path,))


def test_a_missing_set_and_an_era_are_refused(done: tuple[Path, Result], split: Split) -> None:
    with pytest.raises(WrongUsage, match=r"Available: Hugo\."):
        split(done[0], name="Anna")
    with pytest.raises(WrongUsage, match="is already an era"):
        split(done[0], name="Hugo_1998-2001")


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, curated: Path, life: Life) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("probe") / "swap"
    shutil.copytree(curated, out)
    request = EraRequest(out, "Hugo", (), out.parent / FILE_NAME, 2026)
    return out, probe_eras(life.store, request, TASTE, work=Work())


def test_the_probe_shows_its_evidence_and_touches_no_set(probed: tuple[Path, Result], curated: Path) -> None:
    out, summary = probed
    evidence = summary.evidence
    assert sum(evidence.pairs) == 26 * 25 // 2
    assert [cut.threshold for cut in evidence.cuts] == [0.30, 0.35, 0.40, 0.45, 0.50]
    assert all(sum(cut.sizes) == 26 for cut in evidence.cuts)
    roles = [c.role(TASTE.join_threshold).partition(" (")[0] for c in evidence.clusters]
    assert roles == ["anchor", "anchor", "joins 2", "years differ from 1", "too far from 2"]
    assert [c.faces for c in evidence.clusters] == [10, 10, 3, 2, 1]
    assert evidence.verdict == "Splitting makes 2 eras: 1998 to 2001, 2008 to 2014."
    assert (out / "_eras" / "Hugo.txt").read_text("utf-8") == summary.text
    with Image.open(out / "_eras" / "Hugo.png") as picture:
        assert picture.size[0] == 1480
    untouched = {name: data for name, data in contents(out).items() if not name.startswith("_eras")}
    assert untouched == contents(curated)


def test_a_crop_that_was_moved_to_another_era_or_person_belongs_there(out: Path, split: Split) -> None:
    first, second = (era.set for era in split(out).eras if not era.thin)
    moved, alien = (read_manifest(out / first, SetManifest).faces[n] for n in (-1, -2))
    (out / first / moved.file).rename(out / second / "moved.png")
    assert f"1 face moved from {first} to {second}." in split(out).export.learned

    def faces(name: str) -> set[str]:
        return {item.face.face for item in read_manifest(out / name, SetManifest).faces}

    assert moved.face.face in faces(second) - faces(first)
    before = {name: faces(name) for name in (first, second)}
    whole = split(out).recovered
    assert {name: faces(name) for name in (first, second)} == before
    entries = read_manifest(out, ExportManifest)
    listed = [replace(e, name="Other", source="somebody else") for e in entries.sets if e.name == second]
    shutil.copytree(out / second, out / "Other")
    manifest = replace(read_manifest(out / "Other", SetManifest), name="Other")
    (out / "Other" / "manifest.json").write_bytes(manifest_bytes(manifest))
    (out / "manifest.json").write_bytes(manifest_bytes(replace(entries, sets=(*entries.sets, *listed))))
    (png,) = [i.file for i in read_manifest(out / first, SetManifest).faces if i.face.face == alien.face.face]
    (out / first / png).rename(out / "Other" / "moved.png")
    assert split(out).recovered == whole - 1
    assert alien.face.face not in faces(first) | faces(second)


def test_the_probe_reports_when_there_is_nothing_to_split(curated: Path, life: Life, tmp_path: Path) -> None:
    request = EraRequest(curated, "Hugo", (), tmp_path / FILE_NAME, 2026)
    for options, message in (
        (replace(TASTE, min_era_faces=20), "too few photos"),
        (replace(TASTE, split_threshold=1.5), "One anchor holds 26 of 26 faces"),
        (replace(TASTE, join_years=20), "with the same years"),
    ):
        found = probe_eras(life.store, request, options, dry_run=True, work=Work())
        assert message in found.evidence.verdict


def test_the_command_probes_and_splits(
    life: Life, out: Path, curated: Path, tmp_path: Path, pack_dir: Path
) -> None:
    common = ("split-eras", life.photos.parent / "faces.npz", out)
    how = ("--set", "Hugo", "--min-short", 60, "--years", tmp_path / "y.npz", "--recover-threshold", 0.9)
    probe = run_program(*common, *how, "--probe")
    assert probe.status == 0, probe.err
    assert "Sub-clusters at each cut" in probe.out
    assert (out / "_eras" / "Hugo.png").is_file()
    dry = (*common, *how, "--dry-run", "--pack", pack_dir)
    refused = run_program(*dry)
    assert refused.status == 2
    assert re.search(r"Hugo was not split.*--force", refused.err, re.DOTALL)
    split = run_program(*dry, "--force", "--json")
    assert (split.status, split.out.count("\n")) == (0, 1), split.err
    (newest,) = [line for line in run_program("undo", out).out.splitlines() if "split-eras-probe" in line]
    assert "2 files created" in newest
    assert run_program("undo", out, newest.partition(":")[0]).status == 0
    assert contents(out) == contents(curated)
    refused = run_program(*common)
    assert refused.status == 2
    assert "Give the name of a face set in OUT" in refused.err
