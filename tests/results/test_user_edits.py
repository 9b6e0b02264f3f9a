"""What users do in result folders, and what the next run makes of it."""

import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.fixtures.kills import changes_of, in_a_child, moments
from tests.fixtures.made_library import MadeStore
from tests.fixtures.results import (
    Again,
    again,
    cluster_stopping_after,
    company,
    groups,
    grow,
    make,
    people,
    photo_of,
    result,
    sort_anew,
    store_sha,
    tree,
)
from tests.fixtures.soak import mostly_slow, soaking

from facesets.errors import AlreadyRunning, WrongUsage
from facesets.operations.grouping.cluster import cluster
from facesets.operations.immich.local_people import people_of_folder
from facesets.operations.options.start import ClusterOptions
from facesets.operations.undo import undo
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.manifest import ClusterManifest, RefineManifest
from facesets.results.manifest_json import read_manifest
from facesets.work import Work

pytestmark = pytest.mark.slow

__all__ = ["again", "company"]


def all_faces(folder: Path) -> list[str]:
    """Every face that a manifest accounts for, as often as it does."""
    manifest = result(folder)
    named = manifest.persons if isinstance(manifest, ClusterManifest) else manifest.facesets
    lists = [group.faces for group in (*named, *manifest.hidden)]
    rest = [drop.face for drop in manifest.dropped] if isinstance(manifest, RefineManifest) else []
    rest += manifest.singletons if isinstance(manifest, ClusterManifest) else ()
    return [face.face for faces in (*lists, manifest.set_aside, rest) for face in faces]


def rename(folder: Path, names: dict[str, str]) -> None:
    """Rename folders at once; they may change places."""
    for old in names:
        (folder / old).rename(folder / f"{old}.tmp")
    for old, new in names.items():
        (folder / f"{old}.tmp").rename(folder / new)


def unmark(folder: Path) -> None:
    """Let a result be as one that an earlier version made."""
    for mark in folder.glob(f"*/{GROUP_MARK}"):
        mark.unlink()


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "third"),
    mostly_slow(
        [
            ("Anna", "{}_001", "{}_003"),
            ("{}_002", "{}_003", "{}_001"),
            ("Anna", "Ben", "Cara"),
            ("Anna", "Ben", "{}_003"),
            ("{}_002", "{}_001", "{}_003"),
        ],
        quick=3,
    ),
)
def test_whoever_shares_photos_keeps_her_own_faces_when_folders_are_renamed(
    company: MadeStore, tmp_path: Path, again: Again, first: str, second: str, third: str, is_marked: bool
) -> None:
    raw, sets = make(company, tmp_path)
    for folder in () if is_marked else (raw, sets):
        unmark(folder)
    for folder, kind in ((raw, "person"), (sets, "faceset")):
        before = groups(folder)
        names = [name.format(kind) for name in (first, second, third)]
        wanted = {new: before[f"{kind}_00{number}"] for number, new in enumerate(names, 1)}
        rename(folder, {f"{kind}_00{n}": new for n, new in enumerate(names, 1) if new != f"{kind}_00{n}"})
        for _ in range(2):
            again(company, raw, sets)
            assert groups(folder) == wanted
            assert {path.name: len(list(path.glob("[!.]*"))) for path in folder.glob("[!._]*/")} == {
                name: len(faces) for name, faces in wanted.items()
            }


@pytest.mark.parametrize("linked", ["person_001", "Anna"])
@pytest.mark.parametrize("is_inside", [True, False])
def test_a_folder_that_was_renamed_and_linked_at_once_was_not_deleted(
    company: MadeStore, tmp_path: Path, again: Again, linked: str, is_inside: bool
) -> None:
    raw, sets = make(company, tmp_path)
    before = groups(raw)
    disk = raw / ("person_001" if linked == "Anna" else "Anna") if is_inside else tmp_path / "disk"
    (raw / "person_001").rename(tmp_path / "disk")
    (tmp_path / "disk").rename(disk)
    if disk != raw / linked:
        (raw / linked).symlink_to(disk)
    for _ in range(2):
        again(company, raw, sets)
        assert sorted(groups(raw).values(), key=len) == sorted(before.values(), key=len)
        assert result(raw).hidden == ()
    if not is_inside:
        assert groups(raw)[linked] == before["person_001"]


def test_a_folder_that_may_be_on_a_disk_that_is_not_there_was_not_deleted(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    before = groups(raw)
    (raw / "person_001").rename(tmp_path / "disk")
    (raw / "Anna").symlink_to(tmp_path / "unplugged")
    again(company, raw, sets)
    assert groups(raw) == before
    (raw / "Anna").unlink()
    (raw / "Anna").symlink_to(tmp_path / "disk")
    again(company, raw, sets)
    assert result(raw).hidden == ()


def test_a_photo_that_was_deleted_elsewhere_is_not_sought_in_a_renamed_folder(
    company: MadeStore, tmp_path: Path, again: Again
) -> None:
    raw, sets = make(company, tmp_path)
    for folder, kind in ((raw, "person"), (sets, "faceset")):
        before = groups(folder)
        shared = next(
            path
            for path in (folder / f"{kind}_001").glob("[!.]*")
            if (folder / f"{kind}_002" / path.name).exists()
        )
        gone = {face for face in before[f"{kind}_001"] if face.startswith(store_sha(str(shared)))}
        shared.unlink()
        (folder / f"{kind}_002").rename(folder / "Ben")
        again(company, raw, sets)
        assert groups(folder) == {
            f"{kind}_001": before[f"{kind}_001"] - gone,
            "Ben": before[f"{kind}_002"],
            f"{kind}_003": before[f"{kind}_003"],
        }


@pytest.fixture
def twins(tmp_path: Path) -> MadeStore:
    """Two people who are on the very same photos, and somebody else."""
    store = MadeStore(tmp_path / "photos", random.Random(0))
    for _ in range(4):
        store.add(1, 2)
    store.add(3)
    return store


@pytest.mark.parametrize("names", [{1: "Anna", 2: "Ben"}, {1: "person_002", 2: "person_001"}])
def test_folders_of_the_same_photos_may_be_renamed_at_once(
    twins: MadeStore, tmp_path: Path, again: Again, names: dict[int, str]
) -> None:
    raw, sets = make(twins, tmp_path)
    before = people(raw)
    rename(raw, {f"person_00{number}": name for number, name in names.items()})
    for _ in range(2):
        again(twins, raw, sets)
        assert people(raw) == {name: before[f"person_00{number}"] for number, name in names.items()}


def test_folders_of_the_same_photos_and_no_mark_that_were_renamed_at_once_are_refused(
    twins: MadeStore, tmp_path: Path
) -> None:
    store = twins
    raw, _ = make(store, tmp_path)
    unmark(raw)
    rename(raw, {"person_001": "Anna", "person_002": "Ben"})
    with pytest.raises(WrongUsage, match="rename one after the other"):
        grow(store, raw)
    (raw / "Ben").rename(raw / "person_002")
    assert grow(store, raw).raw.learned == ["person_001 is called Anna."]


def test_a_photo_of_two_that_both_lost_is_nobodys_where_it_lies_now(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(company, tmp_path)
    before = people(raw)
    name = min(p.name for p in (raw / "person_001").glob("[!.]*") if (raw / "person_002" / p.name).exists())
    sha = store_sha(str(raw / "person_001" / name))
    (raw / "Dora").mkdir()
    (raw / "person_001" / name).rename(raw / "Dora" / name)
    (raw / "person_002" / name).unlink()
    learned = grow(company, raw).raw.learned
    assert "Whose they are where they are now is not known" in learned[-1]
    unclear = {face for faces in before.values() for face in faces if face.startswith(sha)}
    assert people(raw) == {group: faces - unclear for group, faces in before.items()}


def test_folders_put_into_another_are_refused_and_never_merged(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    before = people(raw)
    (raw / "family").mkdir()
    for name in ("person_001", "person_002"):
        (raw / name).rename(raw / "family" / name)
    with pytest.raises(WrongUsage, match=r"family/person_001\. Each group is a folder at the top"):
        grow(company, raw)
    for name, new in (("person_001", "Anna"), ("person_002", "Ben")):
        (raw / "family" / name).rename(raw / "family" / new)
    with pytest.raises(WrongUsage, match="Each group is a folder at the top"):
        grow(company, raw)
    for name in ("Anna", "Ben"):
        (raw / "family" / name).rename(raw / name)
    grow(company, raw)
    assert people(raw) == {
        "Anna": before["person_001"],
        "Ben": before["person_002"],
        "person_003": before["person_003"],
    }


def test_single_faces_may_join_people_though_their_folder_was_deleted(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, sets = make(company, tmp_path)
    shutil.rmtree(raw / "_singletons")
    assert grow(company, raw).raw.learned == [
        "_singletons was deleted: its photos are not put there again, but its faces may join people."
    ]
    assert len(result(raw).set_aside) == 0
    for _ in range(2):
        sort_anew(company, raw, sets)
        assert not (raw / "_singletons").exists()
    company.add(8)
    sort_anew(company, raw, sets)
    assert len(people(raw)["person_004"]) == len(list((raw / "person_004").glob("[!.]*"))) == 2


def test_a_face_that_the_user_put_somewhere_says_so(company: MadeStore, tmp_path: Path) -> None:
    raw = tmp_path / "raw"

    def sort() -> ClusterManifest:
        options = ClusterOptions(method="auto", sheet=False)
        cluster(company, raw, options, work=Work())
        return read_manifest(raw, ClusterManifest)

    before = sort()
    (single,) = before.singletons
    assert before.placements[single.face] == "alone"
    photo = photo_of(raw / "_singletons")
    photo.rename(raw / "person_001" / photo.name)
    grow(company, raw)
    assert read_manifest(raw, ClusterManifest).placements == before.placements | {single.face: "said"}
    assert sort().placements == before.placements | {single.face: "said"}


def test_a_photo_deleted_from_a_face_set_never_comes_back(company: MadeStore, tmp_path: Path) -> None:
    raw, sets = make(company, tmp_path)
    gone = photo_of(sets / "faceset_001")
    face = f"{store_sha(str(gone))}#0"
    gone.unlink()
    for person in (1, 2, 1):
        company.add(person)
        grow(company, raw, sets)
        assert not any(face in faces for faces in groups(sets).values())
        assert not gone.exists()


def test_a_deleted_face_set_stays_away_though_a_copy_of_its_photo_lies_elsewhere(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, sets = make(company, tmp_path)
    photo = photo_of(sets / "faceset_001")
    shutil.copy2(photo, sets / "faceset_003" / photo.name)
    grow(company, raw, sets)
    shutil.rmtree(sets / "faceset_001")
    for _ in range(3):
        company.add(1)
        grow(company, raw, sets)
        assert set(groups(sets)) == {"faceset_002", "faceset_003"}


def test_a_run_that_begins_while_another_works_on_the_folder_is_refused_before_it_reads(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, sets = make(company, tmp_path)
    refused = []

    class Meanwhile(MadeStore):
        def load(self):  # type: ignore[no-untyped-def] # noqa: ANN202
            for work in (grow, sort_anew):
                with pytest.raises(AlreadyRunning):
                    work(company, raw, sets)
                refused.append(work)
            return super().load()

    slow = Meanwhile(company.root, company.rng, company.shown)
    grow(slow, raw, sets)
    sort_anew(slow, raw, sets)
    assert len(refused) == 6


def test_an_account_of_who_is_on_photos_knows_what_the_user_did_since(
    company: MadeStore, tmp_path: Path
) -> None:
    raw, _ = make(company, tmp_path)
    rename(raw, {"person_001": "Anna", "person_002": "Ben"})
    contents = [digest.decode() for digest in company.load().images.sha256]
    ours = people_of_folder(company, raw, contents)
    truth = company.people_by_face()
    for sha, photo in ours.photos.items():
        for ordinal, number in enumerate(photo.person.tolist()):
            name = "" if number < 0 else ours.persons[number].name
            assert name == {1: "Anna", 2: "Ben"}.get(truth[f"{sha}#{ordinal}"], "")
    other, _ = make(company, tmp_path / "other")
    cluster_stopping_after(
        company, other, ClusterOptions(method="agglomerative", sheet=False, threshold=0.01), photos=1
    )
    with pytest.raises(WrongUsage, match="cluster` was cut off"):
        people_of_folder(company, other, contents)


IN, NOT_IN, NOWHERE = "in", "not in", "nowhere"
SINGLE = "_singletons"


@dataclass
class User:
    """Somebody who edits a result folder at random, and what must hold of it from then on.

    Attributes
    ----------
    said : dict
        What was said of a face: where it is or is not.
    unsure : set
        Images of which nothing is claimed: copies of them lie about, or two folders lost them at once.
    lying : dict
        Faces by folder and photo, as they lie there now.
    done : list of str
        For whoever reads of a failure.
    deleted : dict
        Faces that the last edits deleted, and their folders.
    removed : set
        Folders that they removed as a whole, or photo by photo.
    """

    folder: Path
    rng: random.Random
    said: dict[str, tuple[str, str]] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    lying: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    deleted: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def edit(self, tag: str) -> None:
        """Do a few things at once."""
        self._look()
        self.taken.clear()
        self.deleted.clear()
        self.removed.clear()
        before = dict(self.said)
        singles = {face for faces in self.lying.get(SINGLE, {}).values() for face in faces}
        for number in range(self.rng.randrange(5)):
            folders = sorted(name for name, photos in self.lying.items() if photos)
            if not folders:
                break
            folder, other = self.rng.choice(folders), self.rng.choice(folders)
            photo = self.rng.choice(sorted(self.lying[folder]))
            acts = (self._delete, self._move, self._start, self._rename, self._remove, self._copy, self._swap)
            act = self.rng.choice(acts)
            self.done.append(
                f"{self.folder.name}: {act.__name__} {folder} {photo[-8:]} {other} {tag}_{number}"
            )
            act(folder, photo, other, f"{tag}_{number}")
        if not any(path.is_file() for path in self.folder.glob("*/[!.]*")):
            # Emptied, not edited.
            self.said, self.lying = before, {}
        self.unsure |= {image for image, times in self.taken.items() if times > 1}
        if not self.lying.get(SINGLE):
            for face in singles:
                if self.said.get(face, ("", ""))[0] == NOWHERE:
                    del self.said[face]

    def _look(self) -> None:
        known = groups(self.folder)
        known[SINGLE] = {face.face for face in getattr(result(self.folder), "singletons", ())}
        self.lying = {name: {} for name in known}
        for name, faces in known.items():
            for path in sorted((self.folder / name).glob("[!.]*")):
                sha = store_sha(str(path))
                mine = tuple(sorted(face for face in faces if face.startswith(sha)))
                if mine and sha not in self.unsure:
                    self.lying[name][path.name] = mine

    def _take(self, folder: str, photo: str) -> tuple[str, ...]:
        faces = self.lying[folder].pop(photo)
        self.taken[faces[0].partition("#")[0]] += 1
        return faces

    def _delete(self, folder: str, photo: str, _: str, __: str) -> None:
        (self.folder / folder / photo).unlink()
        faces = self._take(folder, photo)
        self.said |= dict.fromkeys(faces, (NOWHERE, ""))
        self.deleted |= dict.fromkeys(faces, folder)
        if not self.lying[folder]:
            self.removed.add(folder)

    def _move(self, folder: str, photo: str, other: str, _: str) -> None:
        if (self.folder / other / photo).exists():
            return
        (self.folder / folder / photo).rename(self.folder / other / photo)
        faces = self._take(folder, photo)
        self.lying[other][photo] = faces
        self.said |= dict.fromkeys(faces, (NOT_IN, folder) if other == SINGLE else (IN, other))

    def _start(self, folder: str, photo: str, _: str, new: str) -> None:
        (self.folder / new).mkdir()
        self.lying[new] = {}
        self._move(folder, photo, new, "")

    def _rename(self, folder: str, _: str, __: str, new: str) -> None:
        if folder != SINGLE:
            (self.folder / folder).rename(self.folder / new)
            self._call({folder: new})

    def _swap(self, folder: str, _: str, other: str, new: str) -> None:
        if SINGLE not in (folder, other) and folder != other and self._is_plain(folder, other):
            (self.folder / folder).rename(self.folder / new)
            (self.folder / other).rename(self.folder / folder)
            (self.folder / new).rename(self.folder / other)
            self._call({folder: other, other: folder})

    def _is_plain(self, *folders: str) -> bool:
        """Whether folders hold so much of their own that nobody takes changed places for moved photos."""
        times = Counter(photo for photos in self.lying.values() for photo in photos)
        return all(sum(times[photo] == 1 for photo in self.lying[folder]) > 3 for folder in folders)

    def _call(self, names: dict[str, str]) -> None:
        self.lying = {names.get(name, name): photos for name, photos in self.lying.items()}
        self.said = {face: (how, names.get(name, name)) for face, (how, name) in self.said.items()}

    def _remove(self, folder: str, _: str, __: str, ___: str) -> None:
        for photo in list(self.lying[folder]):
            self._delete(folder, photo, "", "")
        shutil.rmtree(self.folder / folder)
        self.removed.add(folder)

    def take_back(self) -> None:
        """Take back the run that learned of the last edits: a folder that they removed comes back."""
        for face, folder in self.deleted.items():
            if folder in self.removed:
                self.said.pop(face, None)

    def _copy(self, folder: str, photo: str, other: str, _: str) -> None:
        if not (self.folder / other / photo).exists():
            shutil.copy2(self.folder / folder / photo, self.folder / other / photo)
            self.unsure.add(self.lying[folder].pop(photo)[0].partition("#")[0])

    def check(self, *, stays: bool) -> None:
        """Compare with the manifest; `stays` where nobody goes elsewhere unless the user said so."""
        now = groups(self.folder)
        where = {face: name for name, faces in now.items() for face in faces}
        twice = [face for face, times in Counter(all_faces(self.folder)).items() if times > 1]
        assert not twice, (twice, self.done)
        for face, (how, name) in self.said.items():
            if face.partition("#")[0] in self.unsure:
                continue
            if how == IN:
                assert where.get(face) == name, (face, name, self.done)
            elif how == NOT_IN:
                assert where.get(face) != name, (face, self.done)
            else:
                assert face not in where, (face, self.done)
        for name, photos in self.lying.items() if stays else ():
            for face in (face for faces in photos.values() for face in faces):
                if name != SINGLE and face.partition("#")[0] not in self.unsure:
                    assert where.get(face) == name, (face, self.done)


def grow_and_perhaps_undo(store: MadeStore, users: list[User], rng: random.Random) -> None:
    raw, sets = (user.folder for user in users)
    edited = tree(raw), tree(sets)
    summary = grow(store, raw, sets)
    if summary.raw.run and rng.random() < 0.4:
        undo(raw, summary.raw.run)
        assert tree(raw) == edited[0]
        users[0].take_back()
        if summary.sets is not None and summary.sets.run:
            assert tree(sets) == edited[1]
            users[1].take_back()
        grow(store, raw, sets)


@pytest.mark.soak
@pytest.mark.parametrize("seed", mostly_slow(soaking(range(60), else_=range(9)), quick=5))
def test_what_a_user_said_holds_over_random_histories(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = MadeStore(tmp_path / "photos", rng)
    for person in (1,) * 9 + (2,) * 7 + (3,) * 5 + (8,):
        store.add(person)
    for _ in range(rng.randrange(4)):
        store.add(*rng.sample(range(1, 4), 2))
    raw, sets = make(store, tmp_path)
    users = [User(raw, rng), User(sets, rng)]
    for step in range(5):
        for _ in range(rng.randrange(3)):
            store.add(*rng.sample(range(1, 6), rng.choice([1, 1, 2])))
        for user in users:
            user.edit(f"N{seed}_{step}")
        extends = rng.random() < 0.7
        try:
            if extends:
                grow_and_perhaps_undo(store, users, rng)
            else:
                sort_anew(store, raw, sets)
        except WrongUsage as unclear:
            assert "hold the same photos" in str(unclear)
            return
        for user in users:
            user.check(stays=extends)
        lying = tree(raw), tree(sets)
        again = grow(store, raw, sets)
        assert again.sets is not None
        assert (again.raw.learned, again.sets.learned) == ([], []), users
        assert not extends or (tree(raw), tree(sets)) == lying


def test_a_killed_run_forgets_no_correction(company: MadeStore, tmp_path: Path) -> None:
    raw, _ = make(company, tmp_path)
    rename(raw, {"person_001": "Anna", "person_002": "person_001"})
    shutil.rmtree(raw / "person_003")
    photo_of(raw / "person_001").unlink()
    photo_of(raw / "Anna").rename(raw / "person_001" / photo_of(raw / "Anna").name)

    def sort(folder: Path) -> None:
        cluster(company, folder, ClusterOptions(sheet=False), work=Work())

    def corrections(folder: Path) -> tuple[object, ...]:
        manifest = result(folder)
        return people(folder), manifest.hidden, manifest.set_aside, set(manifest.statements), manifest.marks

    calm = shutil.copytree(raw, tmp_path / "calm")
    changes = changes_of(lambda: sort(calm))
    for kill_at in moments(changes):
        again = shutil.copytree(raw, tmp_path / f"killed {kill_at}")
        assert in_a_child(lambda again=again: sort(again), kill_at)  # type: ignore[misc]
        for _ in range(2):
            sort(again)
            assert corrections(again) == corrections(calm), kill_at
