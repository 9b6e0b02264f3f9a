"""What a user did to the photos of a result folder since it was written: moved, deleted, copied.

A folder is known again by the hidden file that says which group it is, wherever most of that group's photos
lie if several say so. A photo is known again by its name, or else by size and time. A photo of several people
has the same name in the folder of each: so folders without such a file that were renamed are settled next, by
the photos that lie in no other, and tell the rest. A photo counts as edited in place, and is of no interest
here, as long as something lies under its name.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path, PurePosixPath

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.results.edits.folder_contents import (
    base_of,
    behind_new_links,
    folder_of,
    normal,
    photos_below,
    refuse_unusable,
    state_of,
)
from facesets.results.edits.group_marks import Weight, folders_by_mark, read_marks
from facesets.results.inside import is_inside
from facesets.results.manifest import PlacedFile
from facesets.results.ownership import linked_folders
from facesets.results.safe_folder import SafeFolder


@dataclass(frozen=True, slots=True)
class Edits:
    """Names are relative to the folder.

    Attributes
    ----------
    moved : mapping
        Old name to new name, those in renamed folders too.
    copied : mapping
        Name of a copy that the user made to the name of the file it is like.
    renamed : mapping
        Old to new name of folders, which may have changed places.
    unclear : frozenset
        Names among the deleted of which a photo lies elsewhere, but it may as well be that of another.
    is_emptied : bool
        Whether nothing is left; then no name is listed.
    """

    moved: Mapping[str, str] = field(default_factory=dict)
    deleted: frozenset[str] = frozenset()
    copied: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    unclear: frozenset[str] = frozenset()
    is_emptied: bool = False

    def __bool__(self) -> bool:
        return bool(self.moved or self.deleted or self.copied)


def read_edits(
    root: Path,
    files: Mapping[str, PlacedFile],
    ours: Collection[str],
    marks: Mapping[str, str] | None = None,
) -> Edits:
    """Compare what was put into a folder with what is there.

    A folder in which none of its files is left was emptied, not edited: then there are no edits.

    Parameters
    ----------
    files : mapping
        Every photo of the result.
    ours : collection of str
        Further names that the program wrote or may have written.
    marks : mapping, optional
        Group to its id.

    Raises
    ------
    WrongUsage
        Photos were moved to a folder whose name cannot be in a manifest, a folder was put into another, or
        folders with the same photos were renamed at once.
    """
    search = _Search(root, files, ours)
    search.settle_marked(marks or {})
    while search.settle_folders():
        pass
    search.settle_photos()
    moved, deleted = search.moved, frozenset(search.lost)
    if len(deleted) == len(files):
        return Edits(is_emptied=bool(files))
    for place in moved.values():
        refuse_unusable(root, place)
    _refuse_nested(root, moved)
    search.refuse_unclear_folders()
    return Edits(moved, deleted, search.copies(), search.renamed, frozenset(search.unclear))


class _Search:
    """Names of a result that are still to be found, and places of photos that belong to no name yet.

    Attributes
    ----------
    lost : dict
        Names under which nothing lies, or what another folder brought there.
    strange : dict
        Places that the result does not know.
    moved, renamed, unclear
        As in `Edits`.
    """

    def __init__(self, root: Path, files: Mapping[str, PlacedFile], ours: Collection[str]) -> None:
        known = {normal(name) for name in (*files, *ours)}
        self._root = root
        self._files = files
        # What lies behind a link is not looked at: it may be on a disk that is not there now.
        folder = SafeFolder(root)
        linked = linked_folders(folder, filter(is_inside, files))
        behind = {name for name in files if PurePosixPath(name).parent in linked} if linked else set()
        self._staying = behind | folder.existing(name for name in files if name not in behind)
        self._names_in: dict[str, list[str]] = {}
        for name in files:
            self._names_in.setdefault(folder_of(name), []).append(name)
        brought, unclear = behind_new_links(folder, self._names_in)
        self._staying |= {name for left in unclear for name in self._names_in[left]}
        self.lost = dict.fromkeys(name for name in files if name not in self._staying)
        places = (*photos_below(root), *brought)
        self.strange = dict.fromkeys(name for name in places if normal(name) not in known)
        self.moved: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        self.unclear: set[str] = set()
        self._placed: dict[str, str] = {}
        self._copied: dict[str, str] = {}

    def settle_marked(self, marks: Mapping[str, str]) -> None:
        """Find the folders that say which group they are."""
        found = read_marks(SafeFolder(self._root), frozenset(marks.values()))
        lying = self._lying()
        owner = self._owners()

        def owners(folder: str) -> Counter[str]:
            return Counter(owner[base] for base in lying.get(folder, ()) if base in owner)

        def weight(group: str, folder: str) -> Weight:
            brought = self._brought(group, lying.get(folder, {}))
            own = sum(base_of(name) in owner for name in brought)
            share = len(brought) / max(len(self._names_in.get(group, ())), 1)
            return Weight(own, share, len(brought), sum(starmap(self._is_untouched, brought.items())))

        self._placed = folders_by_mark(marks, found, frozenset(owner.values()), owners, weight)
        wish = {old: new for old, new in self._placed.items() if new != old}
        while merged := [old for old in wish if self._is_merged(old, wish)]:
            for old in merged:
                del wish[old], self._placed[old]
        self._settle(wish, lying)
        lost = set(map(base_of, self.lost))
        for old, place in self._placed.items():
            for copy in {*found.get(marks[old], ())} - {place}:
                self._leave_copies(old, lying.get(copy, {}), lost)

    def _is_untouched(self, name: str, place: str) -> bool:
        put = self._files[name]
        return (put.size, put.mtime_ns) == state_of(self._root, place)

    def _owners(self) -> dict[str, str]:
        """Names of photos that are in one folder of the result only, and that folder."""
        folders: dict[str, set[str]] = defaultdict(set)
        for folder, names in self._names_in.items():
            for name in names:
                folders[base_of(name)].add(folder)
        return {base: next(iter(of)) for base, of in folders.items() if len(of) == 1}

    def _leave_copies(self, old: str, lying: Mapping[str, str], lost: Collection[str]) -> None:
        """Take what lies in a copy of a group's folder for copies, but for photos that any group lost."""
        for name, place in self._brought(old, lying).items():
            if base_of(name) not in lost and place in self.strange:
                self._copied[place] = name
                del self.strange[place]

    def _is_merged(self, old: str, wish: Mapping[str, str]) -> bool:
        """Whether a folder that says so is another group still, into which this one was put."""
        theirs = () if wish[old] in wish else self._names_in.get(wish[old], ())
        ours = set(map(base_of, self._names_in[old]))
        return any(name in self._staying and base_of(name) not in ours for name in theirs)

    def settle_folders(self) -> bool:
        """Find folders that were renamed, or that changed places; False if there are none.

        What this settles may make others clear.
        """
        sure = dict(self._sure())
        lying = self._lying()
        wish = self._wishes(sure, lying)
        while blocked := [old for old in wish if not self._may_become(old, wish, sure)]:
            for old in blocked:
                del wish[old]
        self._settle(wish, lying)
        return bool(wish)

    def _settle(self, wish: Mapping[str, str], lying: Mapping[str, Mapping[str, str]]) -> None:
        """Let folders have other names: old to new."""
        brought = [pair for old, new in wish.items() for pair in self._brought(old, lying[new]).items()]
        left = [name for folder in {*wish, *wish.values()} for name in self._names_in.get(folder, ())]
        self.lost |= dict.fromkeys(name for name in left if name not in self.moved)
        for name, place in brought:
            self._claim(name, place)
        # What lies under a name of a folder that has another place now is not what was put there.
        places = set(self.moved.values())
        self.strange |= dict.fromkeys(name for name in left if name in self._staying and name not in places)
        self._staying.difference_update(left)
        self.renamed |= wish

    def _wishes(self, sure: Mapping[str, str], lying: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """The folders most of whose photos lie in another one now, and that one."""
        went: dict[str, Counter[str]] = defaultdict(Counter)
        for name, place in sure.items():
            went[folder_of(name)][folder_of(place)] += 1
        settled = {*self.renamed.values(), *self._placed.values()}
        wish: dict[str, str] = {}
        for old, places in sorted(went.items(), key=lambda item: (-item[1].total(), item[0])):
            new = places.most_common(1)[0][0]
            if (
                new != old
                and old not in self.renamed
                and old not in self._placed
                and new not in settled
                and new not in wish.values()
                and not old.startswith("_")
                and not new.startswith("_")
                and 2 * len(self._brought(old, lying[new])) + (new in self._names_in)
                > len(self._names_in[old])
            ):
                wish[old] = new
        return wish

    def _may_become(self, old: str, wish: Mapping[str, str], sure: Mapping[str, str]) -> bool:
        """Whether a folder left its name, and the new one is free."""
        new = wish[old]
        if old not in {*wish.values(), *self.renamed.values()} and (self._root / old).exists():
            return False
        theirs = self._names_in.get(new, ())
        if not theirs or new in wish or new in self.renamed:
            return True
        ours = {base_of(name) for name in self._names_in[old]}
        is_deleted = any(name in self.lost for name in theirs) and not any(
            name in sure or name in self.moved for name in theirs
        )
        return is_deleted and all(base_of(name) in ours for name in theirs if name in self._staying)

    def _lying(self) -> dict[str, dict[str, str]]:
        """For each folder the photos that lie in it by their names, but those of renamed folders."""
        lying: dict[str, dict[str, str]] = defaultdict(dict)
        for place in (*self._staying, *self.strange):
            lying[folder_of(place)][base_of(place)] = place
        return lying

    def _brought(self, old: str, lying: Mapping[str, str]) -> dict[str, str]:
        """Photos of a folder by their places in another one."""
        names = self._names_in.get(old, ())
        return {name: lying[base] for name in names if (base := base_of(name)) in lying}

    def _sure(self) -> Iterator[tuple[str, str]]:
        """Lost photos whose name is no other's, with the one place that has it."""
        for lost, places in self._by_name():
            if len(lost) == len(places) == 1:
                yield lost[0], places[0]

    def _by_name(self) -> Iterator[tuple[list[str], list[str]]]:
        """Lost photos and places of one name; of folders that were deleted only where there is no other."""
        lost, places = defaultdict(list), defaultdict(list)
        for name in self.lost:
            lost[base_of(name)].append(name)
        for place in self.strange:
            places[base_of(place)].append(place)
        found = {base: names for base, names in lost.items() if base in places}
        missing = {folder_of(name) for base, names in lost.items() if base not in places for name in names}
        alone = {folder_of(names[0]) for names in found.values() if len(names) == 1}
        deleted = {folder for folder in missing - alone if not (self._root / folder).exists()}
        for base, names in found.items():
            yield [name for name in names if folder_of(name) not in deleted] or names, places[base]

    def settle_photos(self) -> None:
        """Find photos one by one, where others of the same folder went first."""
        sent = {(folder_of(name), folder_of(place)) for name, place in (*self._sure(), *self.moved.items())}
        for lost, places in list(self._by_name()):
            for place in places:
                likely = [name for name in lost if (folder_of(name), folder_of(place)) in sent]
                if len(likely) == 1 and likely[0] in self.lost:
                    self._claim(likely[0], place)
        for lost, places in list(self._by_name()):
            if len(lost) == 1:
                self._claim(lost[0], places[0])
            else:
                self.unclear |= set(lost)
        by_state = defaultdict(list)
        for place in self.strange if self.lost else ():
            by_state[state_of(self._root, place)].append(place)
        for name in [name for name in self.lost if name not in self.unclear]:
            places = by_state[self._files[name].size, self._files[name].mtime_ns]
            if places:
                self._claim(name, places.pop(0))

    def _claim(self, name: str, place: str) -> None:
        self.moved[name] = place
        self.lost.pop(name, None)
        self.strange.pop(place, None)

    def copies(self) -> dict[str, str]:
        """Photos that the user put beside one that lies where it should: place to that one's name."""
        places = defaultdict(list)
        for place in self.strange:
            places[base_of(place)].append(place)
        staying = (name for name in self._files if name in self._staying)
        found = ((place, name) for name in staying for place in places.get(base_of(name), ()))
        return self._copied | {place: name for place, name in found if is_inside(place)}

    def refuse_unclear_folders(self) -> None:
        """Refuse folders of the same photos that were renamed at once."""
        alike = [
            printable(folder)
            for folder, names in self._names_in.items()
            if not folder.startswith("_") and self.unclear.issuperset(names)
        ]
        if len(alike) > 1:
            raise WrongUsage(
                f"{' and '.join(alike)} hold the same photos and were renamed at the same time, so it is "
                "unclear which is which. Restore their names, then rename one after the other, with a run "
                "in between."
            )


def _refuse_nested(root: Path, moved: Mapping[str, str]) -> None:
    """Refuse folders that were put into another: a group is one folder at the top."""
    went: dict[str, Counter[PurePosixPath]] = defaultdict(Counter)
    for name, place in moved.items():
        if folder_of(name) != folder_of(place) and not place.startswith("_"):
            went[folder_of(name)][PurePosixPath(place).parent] += 1
    inside: dict[str, PurePosixPath] = {}
    for folder, places in went.items():
        own = [place for place in places if folder in place.parts[1:]]
        most = own[0] if own else places.most_common(1)[0][0]
        if len(most.parts) > 1 and (own or inside.setdefault(most.parts[0], most) != most):
            raise WrongUsage(
                f"Photos of {printable(folder)} are in {printable(root / most)}. Each person needs a "
                "folder at the top of the result: move it there, under any name, or out of the result."
            )
