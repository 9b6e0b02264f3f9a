"""Find which photos of a result folder the user moved, deleted or copied since it was written.

A folder is recognized by the hidden file with its group's id; of several, it is the one with most of the
group's photos. A photo is recognized by its name, or else by size and time. As a photo of several people has
one name in all their folders, renamed folders without such a file are settled by the photos that lie in no
other folder. While something lies under its name, a photo counts as edited in place, which is ignored here.
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
    """The user's changes; names are relative to the folder.

    Attributes
    ----------
    moved : mapping
        Old to new name, also in renamed folders.
    copied : mapping
        Name of a copy that the user made to the name of the original.
    renamed : mapping
        Old to new name of folders, which may have swapped names.
    unclear : frozenset
        Deleted names for which a photo lies elsewhere that may also belong to another name.
    is_emptied : bool
        Whether no file is left; then no name is listed.
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
    """Compare the files that were put into a folder with those in it now.

    A folder without any of its files was emptied, not edited: then there are no edits.

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
    """The search for the missing files of a result among the unknown files in its folders.

    Attributes
    ----------
    lost : dict
        Names without a file, or with one that another folder's rename put there.
    unknown : dict
        Places that the result does not know.
    moved, renamed, unclear
        As in `Edits`.
    """

    def __init__(self, root: Path, files: Mapping[str, PlacedFile], ours: Collection[str]) -> None:
        known = {normal(name) for name in (*files, *ours)}
        self._root = root
        self._files = files
        # Files behind a link are not checked: their disk may not be mounted.
        folder = SafeFolder(root)
        linked = linked_folders(folder, filter(is_inside, files))
        behind = {name for name in files if PurePosixPath(name).parent in linked} if linked else set()
        self._staying = behind | folder.existing(name for name in files if name not in behind)
        self._names_in: dict[str, list[str]] = {}
        for name in files:
            self._names_in.setdefault(folder_of(name), []).append(name)
        arrived, unclear = behind_new_links(folder, self._names_in)
        self._staying |= {name for left in unclear for name in self._names_in[left]}
        self.lost = dict.fromkeys(name for name in files if name not in self._staying)
        places = (*photos_below(root), *arrived)
        self.unknown = dict.fromkeys(name for name in places if normal(name) not in known)
        self.moved: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        self.unclear: set[str] = set()
        self._placed: dict[str, str] = {}
        self._copied: dict[str, str] = {}

    def settle_marked(self, marks: Mapping[str, str]) -> None:
        """Find the folders with a group's mark."""
        found = read_marks(SafeFolder(self._root), frozenset(marks.values()))
        photos = self._photos_by_folder()
        owner = self._owners()

        def owners(folder: str) -> Counter[str]:
            return Counter(owner[base] for base in photos.get(folder, ()) if base in owner)

        def weight(group: str, folder: str) -> Weight:
            arrived = self._found_in(group, photos.get(folder, {}))
            own = sum(base_of(name) in owner for name in arrived)
            share = len(arrived) / max(len(self._names_in.get(group, ())), 1)
            return Weight(own, share, len(arrived), sum(starmap(self._is_untouched, arrived.items())))

        self._placed = folders_by_mark(marks, found, frozenset(owner.values()), owners, weight)
        renames = {old: new for old, new in self._placed.items() if new != old}
        while merged := [old for old in renames if self._is_merged(old, renames)]:
            for old in merged:
                del renames[old], self._placed[old]
        self._settle(renames, photos)
        lost = set(map(base_of, self.lost))
        for old, place in self._placed.items():
            for copy in {*found.get(marks[old], ())} - {place}:
                self._record_copies(old, photos.get(copy, {}), lost)

    def _is_untouched(self, name: str, place: str) -> bool:
        put = self._files[name]
        return (put.size, put.mtime_ns) == state_of(self._root, place)

    def _owners(self) -> dict[str, str]:
        """Return photos that are in only one folder of the result, by name, with that folder."""
        folders: dict[str, set[str]] = defaultdict(set)
        for folder, names in self._names_in.items():
            for name in names:
                folders[base_of(name)].add(folder)
        return {base: next(iter(of)) for base, of in folders.items() if len(of) == 1}

    def _record_copies(self, old: str, photos: Mapping[str, str], lost: Collection[str]) -> None:
        """Record files in a copy of a group's folder as copies, except photos that any group lost."""
        for name, place in self._found_in(old, photos).items():
            if base_of(name) not in lost and place in self.unknown:
                self._copied[place] = name
                del self.unknown[place]

    def _is_merged(self, old: str, renames: Mapping[str, str]) -> bool:
        """Whether this group was moved into the folder of another group that still exists."""
        other_names = () if renames[old] in renames else self._names_in.get(renames[old], ())
        ours = set(map(base_of, self._names_in[old]))
        return any(name in self._staying and base_of(name) not in ours for name in other_names)

    def settle_folders(self) -> bool:
        """Find folders that were renamed or swapped names; False if there are none.

        Each result may resolve further folders.
        """
        certain = dict(self._certain())
        photos = self._photos_by_folder()
        renames = self._renames(certain, photos)
        while blocked := [old for old in renames if not self._can_rename(old, renames, certain)]:
            for old in blocked:
                del renames[old]
        self._settle(renames, photos)
        return bool(renames)

    def _settle(self, renames: Mapping[str, str], photos: Mapping[str, Mapping[str, str]]) -> None:
        """Record new names of folders: old to new."""
        arrived = [pair for old, new in renames.items() for pair in self._found_in(old, photos[new]).items()]
        left = [name for folder in {*renames, *renames.values()} for name in self._names_in.get(folder, ())]
        self.lost |= dict.fromkeys(name for name in left if name not in self.moved)
        for name, place in arrived:
            self._claim(name, place)
        # A file under a name of a renamed folder is not the one that was put there.
        places = set(self.moved.values())
        self.unknown |= dict.fromkeys(name for name in left if name in self._staying and name not in places)
        self._staying.difference_update(left)
        self.renamed |= renames

    def _renames(self, certain: Mapping[str, str], photos: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Return folders with most of their photos in another one, and that one."""
        went: dict[str, Counter[str]] = defaultdict(Counter)
        for name, place in certain.items():
            went[folder_of(name)][folder_of(place)] += 1
        settled = {*self.renamed.values(), *self._placed.values()}
        renames: dict[str, str] = {}
        for old, places in sorted(went.items(), key=lambda item: (-item[1].total(), item[0])):
            new = places.most_common(1)[0][0]
            if (
                new != old
                and old not in self.renamed
                and old not in self._placed
                and new not in settled
                and new not in renames.values()
                and not old.startswith("_")
                and not new.startswith("_")
                and 2 * len(self._found_in(old, photos[new])) + (new in self._names_in)
                > len(self._names_in[old])
            ):
                renames[old] = new
        return renames

    def _can_rename(self, old: str, renames: Mapping[str, str], certain: Mapping[str, str]) -> bool:
        """Whether a folder's old name is vacant and its new one free."""
        new = renames[old]
        if old not in {*renames.values(), *self.renamed.values()} and (self._root / old).exists():
            return False
        other_names = self._names_in.get(new, ())
        if not other_names or new in renames or new in self.renamed:
            return True
        ours = {base_of(name) for name in self._names_in[old]}
        is_deleted = any(name in self.lost for name in other_names) and not any(
            name in certain or name in self.moved for name in other_names
        )
        return is_deleted and all(base_of(name) in ours for name in other_names if name in self._staying)

    def _photos_by_folder(self) -> dict[str, dict[str, str]]:
        """Return the photos in each folder by name, except those of renamed folders."""
        photos: dict[str, dict[str, str]] = defaultdict(dict)
        for place in (*self._staying, *self.unknown):
            photos[folder_of(place)][base_of(place)] = place
        return photos

    def _found_in(self, old: str, photos: Mapping[str, str]) -> dict[str, str]:
        """Return photos of a folder with their places in another one."""
        names = self._names_in.get(old, ())
        return {name: photos[base] for name in names if (base := base_of(name)) in photos}

    def _certain(self) -> Iterator[tuple[str, str]]:
        """Yield lost photos with a unique name, with the only place of that name."""
        for lost, places in self._by_name():
            if len(lost) == len(places) == 1:
                yield lost[0], places[0]

    def _by_name(self) -> Iterator[tuple[list[str], list[str]]]:
        """Yield lost photos and places of one name; photos of deleted folders only if there are no others."""
        lost, places = defaultdict(list), defaultdict(list)
        for name in self.lost:
            lost[base_of(name)].append(name)
        for place in self.unknown:
            places[base_of(place)].append(place)
        found = {base: names for base, names in lost.items() if base in places}
        missing = {folder_of(name) for base, names in lost.items() if base not in places for name in names}
        alone = {folder_of(names[0]) for names in found.values() if len(names) == 1}
        deleted = {folder for folder in missing - alone if not (self._root / folder).exists()}
        for base, names in found.items():
            yield [name for name in names if folder_of(name) not in deleted] or names, places[base]

    def settle_photos(self) -> None:
        """Find photos one by one, first where others of the same folder went."""
        certain = (*self._certain(), *self.moved.items())
        sent = {(folder_of(name), folder_of(place)) for name, place in certain}
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
        for place in self.unknown if self.lost else ():
            by_state[state_of(self._root, place)].append(place)
        for name in [name for name in self.lost if name not in self.unclear]:
            places = by_state[self._files[name].size, self._files[name].mtime_ns]
            if places:
                self._claim(name, places.pop(0))

    def _claim(self, name: str, place: str) -> None:
        self.moved[name] = place
        self.lost.pop(name, None)
        self.unknown.pop(place, None)

    def copies(self) -> dict[str, str]:
        """Return the user's copies of photos that are in their place: place to the original's name."""
        places = defaultdict(list)
        for place in self.unknown:
            places[base_of(place)].append(place)
        staying = (name for name in self._files if name in self._staying)
        found = ((place, name) for name in staying for place in places.get(base_of(name), ()))
        return self._copied | {place: name for place, name in found if is_inside(place)}

    def refuse_unclear_folders(self) -> None:
        """Refuse folders with the same photos that were renamed at the same time."""
        ambiguous = [
            printable(folder)
            for folder, names in self._names_in.items()
            if not folder.startswith("_") and self.unclear.issuperset(names)
        ]
        if len(ambiguous) > 1:
            raise WrongUsage(
                f"{' and '.join(ambiguous)} hold the same photos and were renamed at the same time, so it is "
                "unclear which is which. Restore their names, then rename one after the other, with a run "
                "in between."
            )


def _refuse_nested(root: Path, moved: Mapping[str, str]) -> None:
    """Refuse folders inside another: a group is one folder at the top."""
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
