"""From a user's changes in a result folder to statements about identity, and from these to who is who.

A photo that was moved to another person's folder shows that person; one that was deleted does not show the
person whose folder it lay in; a renamed folder names its person; photos moved to a new folder are a person of
that name; a deleted folder is a person who is not wanted.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path, PurePosixPath

from facesets.exports.edits import Edits, read_edits
from facesets.exports.folders import announced_names
from facesets.exports.manifest import (
    ClusterManifest,
    FaceEntry,
    Group,
    PlacedFile,
    RefineManifest,
    Statement,
)
from facesets.files import printable
from facesets.records import Collection as FaceCollection

SINGLETONS = "_singletons"


@dataclass(slots=True)
class Known:
    """Who is who in a result folder.

    Attributes
    ----------
    groups : dict
        Faces of each folder, in order.
    single : list of FaceEntry
        Faces that are alone.
    single_folder : str
        Where those lie; empty where they lie nowhere.
    hidden : dict
        As `groups`, of people who are not wanted.
    set_aside : list of FaceEntry
        Faces that are nobody's by the user's will.
    files : dict
        Every photo in the folder, and what was put there.
    statements : list of Statement
    learned : list of str
        A sentence for each new statement, or for several alike.
    """

    groups: dict[str, list[FaceEntry]]
    single: list[FaceEntry] = field(default_factory=list)
    single_folder: str = ""
    hidden: dict[str, list[FaceEntry]] = field(default_factory=dict)
    set_aside: list[FaceEntry] = field(default_factory=list)
    files: dict[str, PlacedFile] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)

    def names_in_use(self) -> list[str]:
        """Every name that a group has or ever had, for numbers that must not come back."""
        return [*self.groups, *self.hidden, *(statement.group for statement in self.statements)]

    def face_ids(self) -> set[str]:
        """Every face that is accounted for."""
        lists = [*self.groups.values(), *self.hidden.values(), self.single, self.set_aside]
        return {face.face for faces in lists for face in faces}

    def unwanted(self) -> set[tuple[str, str]]:
        """Folder and path of copies that the user deleted though the image stays in the folder."""
        return {(said.group, said.name) for said in self.statements if said.kind == "without"}


def known_of(
    manifest: ClusterManifest | RefineManifest,
    root: Path,
    collection: FaceCollection,
    *,
    learns: bool = True,
) -> Known:
    """Who is who in a folder by its manifest, and by what the user did there since, if it `learns`.

    Paths are those of today. Errors as `learn`.
    """
    paths = dict(zip(collection.images.sha256.tolist(), collection.images.paths, strict=True))

    def current(faces: Iterable[FaceEntry]) -> list[FaceEntry]:
        return [replace(face, paths=paths.get(face.image.encode(), face.paths)) for face in faces]

    of_people = isinstance(manifest, ClusterManifest)
    groups = manifest.persons if isinstance(manifest, ClusterManifest) else manifest.facesets
    known = Known(
        groups={group.name: current(group.faces) for group in groups},
        single=current(manifest.singletons if isinstance(manifest, ClusterManifest) else ()),
        single_folder=SINGLETONS if of_people else "",
        hidden={group.name: current(group.faces) for group in manifest.hidden},
        set_aside=current(manifest.set_aside),
        files=dict(manifest.files),
        statements=list(manifest.statements),
    )
    if learns:
        learn(root, known, {*manifest.sheets, *announced_names(root)})
    return known


def as_groups(groups: Mapping[str, Sequence[FaceEntry]]) -> tuple[Group, ...]:
    """Folders of faces as a manifest lists them."""
    return tuple(
        Group(name, len({face.image for face in faces}), tuple(faces)) for name, faces in groups.items()
    )


def learn(root: Path, known: Known, ours: Collection[str]) -> None:
    """Bring what is known into line with what the user did to the folder; `ours` as in `read_edits`.

    Raises
    ------
    WrongUsage
        As `read_edits`.
    """
    edits = read_edits(root, known.files, ours)
    if not edits:
        return
    renamed = _renamed_folders(root, known, edits)
    _rename(known, renamed)
    edits = Edits(
        {_under(renamed, old): new for old, new in edits.moved.items()},
        frozenset(_under(renamed, name) for name in edits.deleted),
        {copy: _under(renamed, name) for copy, name in edits.copied.items()},
    )
    _hide_deleted_folders(known, edits)
    _follow_photos(root, known, edits)
    _follow_copies(known, edits)
    known.groups = {name: faces for name, faces in known.groups.items() if faces}


def _folder(name: str) -> str:
    return PurePosixPath(name).parts[0]


def _renamed_folders(root: Path, known: Known, edits: Edits) -> dict[str, str]:
    """Folders that are gone, and most of whose photos lie in one that is new."""
    went: dict[str, Counter[str]] = defaultdict(Counter)
    for old, new in edits.moved.items():
        went[_folder(old)][_folder(new)] += 1
    renamed: dict[str, str] = {}
    for group, places in went.items():
        place, photos = places.most_common(1)[0]
        is_new = place not in known.groups and place not in renamed.values() and not place.startswith("_")
        if (
            is_new
            and group in known.groups
            and not (root / group).exists()
            and 2 * photos > sum(_folder(name) == group for name in known.files)
        ):
            renamed[group] = place
    return renamed


def _under(renamed: Mapping[str, str], name: str) -> str:
    folder = _folder(name)
    return renamed[folder] + name[len(folder) :] if folder in renamed else name


def _rename(known: Known, renamed: Mapping[str, str]) -> None:
    known.groups = {renamed.get(name, name): faces for name, faces in known.groups.items()}
    known.files = {_under(renamed, name): put for name, put in known.files.items()}
    for old, new in renamed.items():
        known.statements.append(Statement("named", old, name=new))
        known.learned.append(f"{printable(old)} is called {printable(new)}.")


def _hide_deleted_folders(known: Known, edits: Edits) -> None:
    names_of = defaultdict(set)
    for name in known.files:
        names_of[_folder(name)].add(name)
    for group in list(known.groups):
        if names_of[group] and names_of[group] <= edits.deleted:
            # A number may have come back when people were sorted anew since an earlier one was deleted.
            names = chain([group], (f"{group} ({number})" for number in count(2)))
            name = next(name for name in names if name not in known.hidden)
            known.hidden[name] = known.groups.pop(group)
            known.files = {name: put for name, put in known.files.items() if name not in names_of[group]}
            known.statements.append(Statement("removed", group))
            known.learned.append(f"{printable(group)} was deleted: its faces get no folder any more.")


def _follow_photos(root: Path, known: Known, edits: Edits) -> None:
    """Let faces go where their photos went, or out where these were deleted."""
    by_image: dict[tuple[str, str], list[str]] = defaultdict(list)
    image_of = {path: face.image for face in _all_faces(known) for path in face.paths}
    for name, put in known.files.items():
        if put.source in image_of:
            by_image[_folder(name), image_of[put.source]].append(name)
        elif name in edits.deleted or name in edits.moved:
            known.statements.append(Statement("without", _folder(name), name=put.source))
    told: Counter[tuple[str, str]] = Counter()
    for (folder, image), names in by_image.items():
        touched = [name for name in names if name in edits.moved or name in edits.deleted]
        if not touched:
            continue
        away = [edits.moved[name] for name in touched if name in edits.moved]
        targets = [_folder(name) for name in away if _folder(name) != folder]
        if len(targets) + sum(name in edits.deleted for name in touched) == len(names):
            told[folder, targets[0] if targets else ""] += _move(known, folder, image, targets)
        else:
            gone = [known.files[name].source for name in touched if name in edits.deleted]
            known.statements += [Statement("without", folder, name=source) for source in gone]
            told[folder, folder] += len(gone)
    _follow_files(root, known, edits)
    for (folder, target), many in told.items():
        if many and target == folder:
            copies = "1 copy of a photo is" if many == 1 else f"{many} copies of photos are"
            known.learned.append(f"{copies} not wanted in {printable(folder)}.")
        elif many:
            faces, show, do = ("1 face", "shows", "does") if many == 1 else (f"{many} faces", "show", "do")
            what = f"{show} {printable(target)}, not" if target else f"{do} not show"
            known.learned.append(f"{faces} {what} {printable(folder)}.")


def _all_faces(known: Known) -> Iterable[FaceEntry]:
    for faces in (*known.groups.values(), known.single):
        yield from faces


def _move(known: Known, folder: str, image: str, targets: Sequence[str]) -> int:
    """Take the faces of an image out of a folder, and into the first target if there is one."""
    place = known.single if folder == known.single_folder else known.groups.get(folder, [])
    leaving = [face for face in place if face.image == image]
    place[:] = [face for face in place if face.image != image]
    target = targets[0] if targets else ""
    if target == known.single_folder:
        known.single += leaving
    elif target and not target.startswith("_"):
        known.groups.setdefault(target, []).extend(leaving)
        known.statements += [Statement("is", target, face=face.face) for face in leaving]
    else:
        known.set_aside += leaving
    if folder != known.single_folder:
        known.statements += [Statement("not", folder, face=face.face) for face in leaving]
    return len(leaving)


def _follow_files(root: Path, known: Known, edits: Edits) -> None:
    """Know photos by the names that they have now; those in folders of nobody are the user's."""
    files: dict[str, PlacedFile] = {}
    for name, put in known.files.items():
        now = edits.moved.get(name, name)
        if now == name and name not in edits.deleted:
            files[name] = put
        elif now != name and (_folder(now) in known.groups or _folder(now) == known.single_folder):
            status = (root / PurePosixPath(now)).stat()
            files[now] = replace(put, size=status.st_size, mtime_ns=status.st_mtime_ns)
    known.files = files


def _follow_copies(known: Known, edits: Edits) -> None:
    """A photo copied to a person's folder shows that person too, if one face in it is free."""
    free: dict[str, list[FaceEntry]] = defaultdict(list)
    for face in (*known.single, *known.set_aside):
        for path in face.paths:
            free[path].append(face)
    for copy, name in edits.copied.items():
        target, faces = _folder(copy), free[known.files[name].source] if name in known.files else []
        if target in known.groups and len(faces) == 1 and faces[0].face not in _ids(known.groups[target]):
            known.single[:] = [face for face in known.single if face.face != faces[0].face]
            known.set_aside[:] = [face for face in known.set_aside if face.face != faces[0].face]
            known.groups[target].append(faces[0])
            known.files[copy] = replace(known.files[name], size=-1, mtime_ns=-1)
            known.statements.append(Statement("is", target, face=faces[0].face))
            known.learned.append(f"1 face shows {printable(target)}.")


def _ids(faces: Iterable[FaceEntry]) -> set[str]:
    return {face.face for face in faces}
