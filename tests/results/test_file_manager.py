"""Random changes to two results of one cache in a file manager, compared with the expected people."""

import random
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.fixtures.made_library import MadeStore
from tests.fixtures.results import GATES, choose, groups, grow, make, result, sort, store_sha
from tests.fixtures.soak import examples, soaking
from tests.fixtures.trees import tree

from facesets.operations.undo import undo
from facesets.results.edits.group_marks import GROUP_MARK
from facesets.results.manifest import ClusterManifest, RefineManifest


def every_face(folder: Path) -> list[str]:
    """Return every face that a manifest lists, as often as it is listed."""
    manifest = result(folder)
    named = manifest.persons if isinstance(manifest, ClusterManifest) else manifest.facesets
    lists = [group.faces for group in (*named, *manifest.hidden)]
    rest = [drop.face for drop in manifest.dropped] if isinstance(manifest, RefineManifest) else []
    rest += manifest.singletons if isinstance(manifest, ClusterManifest) else ()
    return [face.face for faces in (*lists, manifest.set_aside, rest) for face in faces]


# That photos were moved to one folder does not make their faces resemble each other.
EVERYBODY = replace(GATES, min_faces=1, outlier_threshold=2.0)
ANY = st.integers(0, 1 << 16)
RESULT = st.sampled_from([0, 1])
MARKS = (
    b"",
    b"\xff\xfe\0",
    b"[1, 2]",
    b'{"format": "facesets/group", "version": 1, "group": "another"}',
    b"9" * 9999,
)


@dataclass
class Expected:
    """A result as its user sees it.

    Attributes
    ----------
    people : dict
        The face that each photo in a person's folder stands for.
    unsure : set
        Faces of photos with copies: moving or deleting one of these is ambiguous.
    copies : set
        Folders that are copies of others; their photos are unsure, too.
    plain : set
        People with a folder without a mark: until a run writes it again, it is recognized by its photos.
    returned : set
        People whose folder was put back since the last run: they get all their photos back.
    trash, bin : dict
        Photos and folders that were deleted, and the faces.
    gone : set
        Their images since the last run: a new copy would count as the place where they went.
    seen : set
        Faces of photos that a run took in.
    aside : dict
        Faces that lie with the single ones now, and the folder that they are not in.
    """

    root: Path
    people: dict[str, dict[str, str]] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    copies: set[str] = field(default_factory=set)
    plain: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    trash: dict[tuple[str, str], str] = field(default_factory=dict)
    bin: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    deleted: bool = False
    seen: set[str] = field(default_factory=set)
    aside: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        """Record the places of new faces."""
        for group, faces in groups(self.root).items():
            face_of = {face.partition("#")[0]: face for face in faces - self.seen}
            for path in (self.root / group).glob("[!.]*"):
                if face := face_of.get(store_sha(str(path))):
                    self.people.setdefault(group, {})[path.name] = face
            self.seen |= faces

    def movable(self, person: str) -> list[str]:
        """Photos of one person alone that can only be meant in one way."""
        times = [photo for photos in self.people.values() for photo in photos]
        mine = {} if person in self.plain | self.returned else self.people[person]
        return sorted(photo for photo in mine if times.count(photo) == 1 and mine[photo] not in self.unsure)

    def sure(self, *, movable: int = 0) -> list[str]:
        """People who can only be meant in one way, with photos that may be moved and some that stay."""
        return sorted(
            person
            for person, photos in self.people.items()
            if self.unsure.isdisjoint(photos.values())
            and (not movable or len(self.movable(person)) >= movable)
        )

    def check(self) -> None:
        def known(people: dict[str, set[str]]) -> dict[str, set[str]]:
            left = {name: (faces & self.seen) - self.unsure for name, faces in people.items()}
            return {name: faces for name, faces in left.items() if faces}

        wanted = known({name: set(photos.values()) for name, photos in self.people.items()})
        now = groups(self.root)
        assert known(now) == wanted
        assert not [face for face, name in self.aside.items() if face in now.get(name, ())]
        listed = result(self.root).marks
        for name in wanted:
            assert {path.name for path in (self.root / name).iterdir()} >= self.people[name].keys()
        accounted = every_face(self.root)
        assert len(accounted) == len(set(accounted))
        self.look()
        self.people = {name: photos for name, photos in self.people.items() if photos}
        self.returned = set()
        self.plain = {name for name in self.people if not self._asserts_person(name, listed.get(name, ""))}
        self.deleted = False
        self.gone = set()

    def check_names(self) -> None:
        """Check a new grouping: named people keep their photos, and removed photos stay away.

        A name may gain photos of a folder with a number, of which that grouping knows nothing.
        """
        now = groups(self.root)
        for name, photos in self.people.items():
            if (faces := {*photos.values()} - self.unsure) and name.startswith("Name "):
                assert now[name] >= faces
        gone = {*self.trash.values(), *(face for photos in self.bin.values() for face in photos.values())}
        assert (gone - self.unsure).isdisjoint(face for faces in now.values() for face in faces)

    def _asserts_person(self, name: str, group: str) -> bool:
        mark = self.root / name / GROUP_MARK
        return bool(group) and mark.is_file() and group.encode() in mark.read_bytes()


class FileManager(RuleBasedStateMachine):
    """Two results, and a user who changes them with a file manager."""

    @initialize(seed=st.integers(0, 3))
    def make(self, seed: int) -> None:
        self.above = Path(tempfile.mkdtemp(prefix="facesets."))
        self.store = MadeStore(self.above / "photos", random.Random(seed))
        for person, count in ((1, 7), (2, 6), (3, 5), (4, 4)):
            for _ in range(count):
                self.store.add(person)
        for shown in ((1, 2), (2, 3), (1, 2, 3))[:seed]:
            self.store.add(*shown)
        self.results = [Expected(folder) for folder in make(self.store, self.above, EVERYBODY)]
        for each in self.results:
            each.look()
        self.number = 0

    def teardown(self) -> None:
        raw, sets = (each.root for each in self.results)
        sort(self.store, raw)
        choose(self.store, sets, EVERYBODY)
        for each in self.results:
            each.check_names()
        shutil.rmtree(self.above, ignore_errors=True)

    def _new(self) -> str:
        self.number += 1
        return f"Name {self.number}"

    def _one(self, among: list[str], which: int) -> str:
        return among[which % len(among)] if among else ""

    @rule(which=RESULT, who=ANY)
    def rename(self, which: int, who: int) -> None:
        at, new = self.results[which], self._new()
        if old := self._one(at.sure(), who):
            (at.root / old).rename(at.root / new)
            self._call(at, {old: new})

    @rule(which=RESULT, who=ANY, other=ANY)
    def swap(self, which: int, who: int, other: int) -> None:
        at = self.results[which]
        one, two = (self._one(sorted(set(at.sure()) - at.plain), number) for number in (who, other))
        if one != two:
            for old, new in ((one, "swap"), (two, one), ("swap", two)):
                (at.root / old).rename(at.root / new)
            self._call(at, {one: two, two: one})

    def _call(self, at: Expected, names: dict[str, str]) -> None:
        at.people = {names.get(name, name): photos for name, photos in at.people.items()}
        at.plain = {names.get(name, name) for name in at.plain}
        at.trash = {key: face for key, face in at.trash.items() if key[0] not in names}
        at.aside = {face: names.get(name, name) for face, name in at.aside.items()}

    @rule(which=RESULT, who=ANY, other=ANY, many=st.sampled_from([1, 1, 3]), new=st.booleans())
    def move(self, which: int, who: int, other: int, many: int, new: bool) -> None:
        """Photos to another person, or to a new folder: that splits a person."""
        at = self.results[which]
        one = self._one(at.sure(movable=many + 1), who)
        two = self._new() if new else self._one(sorted(set(at.sure()) - at.plain - {one}), other)
        if one and two:
            (at.root / two).mkdir(exist_ok=True)
            for photo in at.movable(one)[:many]:
                (at.root / one / photo).rename(at.root / two / photo)
                at.people.setdefault(two, {})[photo] = at.people[one].pop(photo)
            at.plain |= {two} if new else set()

    @rule(which=RESULT, who=ANY, other=ANY, overwrites=st.booleans())
    def merge(self, which: int, who: int, other: int, overwrites: bool) -> None:
        """All photos of a person to another one's folder, with or without the mark."""
        at = self.results[which]
        one = self._one(at.sure(movable=3), who)
        two = self._one([name for name in at.sure(movable=1) if name != one], other)
        if one and two and len(at.movable(one)) == len(at.people[one]):
            for path in list((at.root / one).iterdir()):
                if path.name != GROUP_MARK or overwrites:
                    path.replace(at.root / two / path.name)
            shutil.rmtree(at.root / one)
            at.people[two] |= at.people.pop(one)
            at.plain |= {two} if overwrites else set()

    @rule(which=RESULT, who=ANY)
    def delete_photo(self, which: int, who: int) -> None:
        at = self.results[which]
        if one := self._one(at.sure(movable=3), who):
            photo = at.movable(one)[0]
            (at.root / one / photo).rename(self.above / f"{which} {photo}")
            at.trash[one, photo] = at.people[one].pop(photo)
            at.gone.add(at.trash[one, photo].partition("#")[0])

    @rule(which=RESULT, what=ANY)
    def put_photo_back(self, which: int, what: int) -> None:
        at = self.results[which]
        back = sorted(key for key in at.trash if at.people.get(key[0]) and key[0] not in at.plain)
        if back:
            person, photo = back[what % len(back)]
            (self.above / f"{which} {photo}").rename(at.root / person / photo)
            at.people[person][photo] = at.trash.pop((person, photo))

    @rule(which=RESULT, who=ANY)
    def delete_folder(self, which: int, who: int) -> None:
        at = self.results[which]
        one = self._one(sorted(set(at.sure(movable=3)) - at.plain), who)
        if one and len(at.sure()) > 2 and not at.deleted:
            (at.root / one).rename(self.above / f"bin {which} {one}")
            at.bin[one] = at.people.pop(one)
            at.gone |= {face.partition("#")[0] for face in at.bin[one].values()}
            at.deleted = True

    @rule(which=RESULT, who=ANY)
    def put_folder_back(self, which: int, who: int) -> None:
        at = self.results[which]
        one = self._one(sorted(name for name in at.bin if not (at.root / name).exists()), who)
        if one:
            (self.above / f"bin {which} {one}").rename(at.root / one)
            at.people[one] = at.bin.pop(one)
            at.returned.add(one)

    @rule(which=RESULT, who=ANY, other=ANY)
    def copy_photo(self, which: int, who: int, other: int) -> None:
        at = self.results[which]
        one = self._one(at.sure(movable=1), who)
        two = self._one([name for name in at.people if name != one], other)
        if one and two:
            photo = at.movable(one)[0]
            shutil.copy2(at.root / one / photo, at.root / two / photo)
            at.unsure.add(at.people[one][photo])

    @rule(which=RESULT, who=ANY, source=RESULT)
    def copy_folder(self, which: int, who: int, source: int) -> None:
        """A folder of this result or of the other one, with its mark."""
        at, other, new = self.results[which], self.results[source], self._new()
        one = self._one(sorted(set(other.sure()) - other.plain), who)
        images = {face.partition("#")[0] for face in other.people[one].values()} if one else set()
        if one and len(at.sure()) > 2 and not at.copies and at.gone.isdisjoint(images):
            shutil.copytree(other.root / one, at.root / new)
            at.copies.add(new)
            mine = {face for photos in at.people.values() for face in photos.values()}
            at.unsure |= {face for face in mine if face.partition("#")[0] in images}

    @rule(which=RESULT, who=ANY, content=st.sampled_from([None, *MARKS]))
    def spoil_mark(self, which: int, who: int, content: bytes | None) -> None:
        at = self.results[which]
        # Recognized only by its photos: most of them must be of no other person.
        able = [n for n in at.sure(movable=3) if 2 * len(at.movable(n)) > len(at.people[n])]
        if one := self._one([name for name in able if not at.plain], who):
            mark = at.root / one / GROUP_MARK
            mark.unlink() if content is None else mark.write_bytes(content)
            at.plain.add(one)

    @rule(who=st.integers(1, 5), many=st.sampled_from([1, 2, 5]))
    def take_photos(self, who: int, many: int) -> None:
        for _ in range(many):
            self.store.add(who)

    @rule(which=RESULT, who=ANY)
    def set_aside(self, which: int, who: int) -> None:
        at = self.results[which]
        if one := self._one(at.sure(movable=3), who):
            photo = at.movable(one)[0]
            (at.root / "_singletons").mkdir(exist_ok=True)
            (at.root / one / photo).rename(at.root / "_singletons" / photo)
            face = at.people[one].pop(photo)
            at.unsure.add(face)
            at.aside[face] = one

    @rule(is_undone=st.booleans())
    def run(self, is_undone: bool) -> None:
        raw, sets = (each.root for each in self.results)
        before = tree(self.above)
        done = grow(self.store, raw, sets)
        if is_undone and not any(each.deleted for each in self.results) and done.sets is not None:
            for root, run in ((raw, done.raw.run), (sets, done.sets.run)):
                if run and (root / ".facesets-journal" / run).exists():
                    undo(root, run)
            assert tree(self.above) == before
            grow(self.store, raw, sets)
        for each in self.results:
            each.check()
        lying = tree(self.above)
        grow(self.store, raw, sets)
        assert tree(self.above) == lying


FileManager.TestCase.settings = settings(
    examples(soaking(600, else_=24)), stateful_step_count=soaking(25, else_=14)
)
TestFileManager = FileManager.TestCase
