"""One person, one name: a name given in one result of a store reaches its other results.

Every command that writes a result looks at all results of its store, learns which names a user gave there
since, and lets its own result follow. The newest name wins. People are matched by faces: a group that holds
several of another result's people keeps its name.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path

from facesets.errors import FacesetsError
from facesets.files import printable
from facesets.interfaces import Store, is_library
from facesets.library_records import KnownPerson
from facesets.records import Collection as FaceCollection
from facesets.results.earlier_export import EarlierExport
from facesets.results.edits.membership import GroupMembership
from facesets.results.edits.user_edits import read_membership
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest import ClusterManifest, RefineManifest, groups_of
from facesets.results.manifest_json import read_any_manifest
from facesets.results.names.file_names import folder_name
from facesets.results.names.group_names import NUMBERED_GROUP
from facesets.results.names.names_file import (
    NamedPerson,
    PeopleNames,
    is_person_name,
    people_in,
    read_names,
    update_names,
)
from facesets.results.ownership import ANNOUNCEMENT
from facesets.results.run_records import relative_to

_LIBRARY = ""
"""The folder of names that come from the library."""


@dataclass(frozen=True, slots=True)
class SeenResult:
    """A result as its user left it.

    Attributes
    ----------
    groups : mapping
        Ids of the faces of each group.
    given : frozenset of str
        Names that the user gave since its manifest was written.
    names_people : bool
        Whether its command names groups, too.
    faces : frozenset of str
        Ids of the faces of all groups.
    """

    groups: Mapping[str, frozenset[str]]
    given: frozenset[str]
    names_people: bool = False
    faces: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Collect the faces of all groups."""
        object.__setattr__(self, "faces", frozenset().union(*self.groups.values()))


@dataclass(frozen=True, slots=True)
class Naming:
    """The names of people in the results of a store.

    Attributes
    ----------
    file : Path or None
        Where the names are stored; None if results do not share names through a file.
    store : str
        The id of the store.
    seen : mapping
        Every result that could be looked at, by its place relative to the file's folder.
    people : tuple of NamedPerson
        The person who was named last comes last.
    former : mapping or None
        The other names that each named person had. A folder with any other name keeps it, as the user chose
        it. None if the folders of all results follow one another.
    note : callable or None
        Stores which folders hold results, if there is no such file.
    """

    file: Path | None = None
    store: str = ""
    seen: Mapping[str, SeenResult] = field(default_factory=dict)
    people: tuple[NamedPerson, ...] = ()
    former: Mapping[str, AbstractSet[str]] | None = None
    note: Callable[[Iterable[Path]], None] | None = None

    def names_elsewhere(
        self, groups: Mapping[str, AbstractSet[str]], taken: Collection[str] = ()
    ) -> tuple[dict[str, str], list[str]]:
        """Return the groups of a result that have another name in other results.

        Parameters
        ----------
        groups : mapping
            Ids of the faces of each group.
        taken : collection of str
            Names that no group may get.

        Returns
        -------
        names : dict
            Old to new name.
        warnings : list of str
            A sentence for each group that keeps its name although a person in it has another one.
        """
        held = people_in(self.people, groups)
        wanted: dict[str, str] = {}
        warnings = []
        for own in groups:
            names = list(dict.fromkeys(person.name for person in held[own]))
            if not names or own in names or self._keeps_own_name(own, names):
                continue
            if len(names) == 1 and _is_most_of(held[own][0], groups[own], self.seen):
                wanted[own] = names[0]
            elif NUMBERED_GROUP.fullmatch(own):
                others = names if len(names) > 1 else [*names, "others"]
                warnings.append(
                    f"{printable(own)} contains {' and '.join(map(printable, others))}, so it keeps its name."
                )
        return _without_clashes(wanted, groups, taken, warnings), warnings

    def _keeps_own_name(self, own: str, names: Sequence[str]) -> bool:
        """Whether the user chose a group's name, so that the library's does not replace it."""
        if self.former is None or NUMBERED_GROUP.fullmatch(own):
            return False
        return not any(own in self.former.get(name, ()) for name in names)

    def learn(self, results: Iterable[Path]) -> None:
        """Record, before results are written, the people's new names.

        `save` records the new names of groups once these have them: before, a folder that the run did not
        reach would look as if the user had restored its old name. Errors as `update_names`.
        """
        if self.note is not None:
            self.note(results)
        self.save({})

    def save(self, results: Mapping[Path, Mapping[str, Iterable[str]]]) -> None:
        """Record what was learned, and the ids of the faces of each group of results.

        Errors as `update_names`.
        """
        if self.file is None:
            return
        own = {
            _place(root, self.file): {
                name: frozenset(faces) for name, faces in groups.items() if _is_given(name)
            }
            for root, groups in results.items()
        }

        def change(before: PeopleNames) -> PeopleNames:
            after = _learned(before.of(self.store), self.seen)
            people = tuple(
                replace(each, faces=own.get(each.folder, {}).get(each.name, each.faces))
                for each in after.people
            )
            folders = {folder: tuple(groups) for folder, groups in own.items()}
            return PeopleNames(self.store, {**after.folders, **folders}, people)

        update_names(self.file, change)


def look(store: Store, own: Mapping[Path, SeenResult | None], collection: FaceCollection) -> Naming:
    """Look at all results of a store.

    Parameters
    ----------
    own : mapping
        Results that the command is about to write, as the user left them; None for a new one, or after an
        interrupted run.

    Raises
    ------
    DamagedFile, NewerFormat
        The file cannot be read.
    """
    file = store.names_file
    if file is None:
        return (
            replace(_of_library(store.corrected_people()), note=store.note_results)
            if is_library(store)
            else Naming()
        )
    stored = read_names(file).of(store.identity)
    mine = {_place(root, file): each for root, each in own.items()}
    seen = {
        folder: there
        for folder in stored.folders
        if folder not in mine and (there := _seen_elsewhere(file.parent / folder, store, collection))
    }
    seen |= {folder: each for folder, each in mine.items() if each is not None}
    return Naming(file, store.identity, seen, _learned(stored, seen).people)


def _of_library(people: Sequence[KnownPerson]) -> Naming:
    """Return the names of the library's people, as names of folders."""
    named = {folder_name(person.names[0]): person for person in people if person.names}
    named = {name: person for name, person in named.items() if _is_given(name) and not person.is_hidden}
    former = {
        name: frozenset(map(folder_name, (*person.names, *person.former))) for name, person in named.items()
    }
    faces = {person.id: person.faces for person in people}
    return Naming(
        seen={_LIBRARY: SeenResult(faces, frozenset())},
        people=tuple(NamedPerson(name, _LIBRARY, person.faces) for name, person in named.items()),
        former=former,
    )


def look_for_export(store: Store, earlier: EarlierExport, collection: FaceCollection) -> Naming:
    """As `look`, for a command that writes to an export."""
    is_clear = earlier.manifest is not None and not earlier.is_interrupted
    return look(store, {earlier.root: seen_in_export(earlier) if is_clear else None}, collection)


def seen_by(membership: GroupMembership, manifest: ClusterManifest | RefineManifest) -> SeenResult:
    """Return a folder of people or face sets as the user left it."""
    before = groups_of(manifest)
    groups = {name: frozenset(face.face for face in faces) for name, faces in membership.groups.items()}
    return SeenResult(groups, frozenset(groups.keys() - {group.name for group in before}))


def seen_in_export(export: EarlierExport) -> SeenResult:
    """Return the face sets of an export as the user left them; errors as `EarlierExport.people`."""
    renamed = frozenset(new for _, new in export.edits.renamed)
    return SeenResult(export.people(), renamed, names_people=True)


def _seen_elsewhere(root: Path, store: Store, collection: FaceCollection) -> SeenResult | None:
    """Read a result of another command; None if the user's changes there cannot be determined."""
    try:
        if (root / ANNOUNCEMENT).exists():
            return None
        manifest = read_any_manifest(root)
        if not isinstance(manifest, ClusterManifest | RefineManifest | ExportManifest):
            return None
        if manifest.made.store not in ("", store.identity):
            return None
        if isinstance(manifest, ExportManifest):
            return seen_in_export(EarlierExport(root, manifest))
        return seen_by(read_membership(manifest, root, collection), manifest)
    except (FacesetsError, OSError):
        # The command that writes there reports the error.
        return None


def _place(root: Path, file: Path) -> str:
    return relative_to(Path(os.path.normpath(root.absolute())), file.parent.absolute())


def _is_given(name: str) -> bool:
    """Whether a group has a name, not a number."""
    return NUMBERED_GROUP.fullmatch(name) is None and is_person_name(name)


def _learned(stored: PeopleNames, seen: Mapping[str, SeenResult]) -> PeopleNames:
    """Update the file's content from the results; the last one wins."""
    people, folders = list(stored.people), dict(stored.folders)
    for folder, there in seen.items():
        named = {name: faces for name, faces in there.groups.items() if _is_given(name)}
        people = [
            replace(person, faces=named[person.name])
            if person.folder == folder and person.name in named
            else person
            for person in people
        ]
        before = folders.get(folder)
        # A name that only the manifest has may come from a run that was undone.
        new = (there.given if before is None or not there.names_people else named.keys()) - set(before or ())
        people = _without_dropped(people, there, before or ())
        held = people_in(people, there.groups)
        for name, faces in named.items():
            if name in new:
                people = _with_name(people, folder, seen, name)
            elif before is None and all(person.name != name for person in held[name]):
                people.append(NamedPerson(name, folder, faces))
        people = [person for person in people if person.folder != folder or person.name in named]
        folders[folder] = tuple(named)
    return PeopleNames(stored.store, folders, tuple(people))


def _without_dropped(
    people: Sequence[NamedPerson], there: SeenResult, before: Collection[str]
) -> list[NamedPerson]:
    """Drop people with a name that the user replaced by a number again."""
    held = people_in(people, there.groups)
    numbers = filter(NUMBERED_GROUP.fullmatch, there.given)
    dropped = [person for number in numbers for person in held[number] if person.name in before]
    return [person for person in people if person not in dropped]


def _with_name(
    people: Sequence[NamedPerson], folder: str, seen: Mapping[str, SeenResult], name: str
) -> list[NamedPerson]:
    """Return people with one more, or with a new name that a result gave to one of them."""
    there = seen[folder]
    held = people_in(people, there.groups)[name]
    if any(person.name == name for person in held):
        return list(people)
    faces = there.groups[name]
    before = [person for person in held if person.name not in there.groups]
    if len(before) != 1 or not _is_most_of(before[0], faces, seen):
        before = []
    return [*(person for person in people if person not in before), NamedPerson(name, folder, faces)]


def _is_most_of(person: NamedPerson, faces: AbstractSet[str], seen: Mapping[str, SeenResult]) -> bool:
    """Whether most faces of a group that the naming result knows are this person's."""
    theirs = faces & person.faces
    there = seen.get(person.folder)
    return 2 * len(theirs) > (len(theirs | (faces & there.faces)) if there else len(theirs))


def _without_clashes(
    wanted: Mapping[str, str],
    groups: Mapping[str, AbstractSet[str]],
    taken: Collection[str],
    warnings: list[str],
) -> dict[str, str]:
    """Assign each name once: to the largest group that should have it, and only if it is free."""
    left = dict(sorted(wanted.items(), key=lambda wish: (-len(groups[wish[0]]), wish[0])))
    while True:
        staying = {name for name in groups if name not in left} | set(taken)
        granted: dict[str, str] = {}
        for own, name in left.items():
            if name not in staying and name not in granted.values():
                granted[own] = name
        for own in sorted(left.keys() - granted.keys()):
            name = left[own]
            warnings.append(
                f"{printable(own)} is named {printable(name)} in other results. That name is taken here, "
                "so it keeps its own."
            )
        if len(granted) == len(left):
            return granted
        left = granted
