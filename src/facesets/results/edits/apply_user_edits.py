"""A grouping made again, brought into line with what the user said in the folder that it goes to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from facesets.files import printable
from facesets.records import Bool, Int64
from facesets.results.edits.membership import NOT, GroupMembership, faces_put
from facesets.results.edits.user_edits import as_groups
from facesets.results.manifest import Correction, FaceEntry, Group, PlacedFile
from facesets.results.names.group_names import NUMBERED_GROUP, following_names, numbered_name


@dataclass(frozen=True, slots=True)
class UserConstraints:
    """What holds for a grouping by the user's will.

    Attributes
    ----------
    known : Known
        Who was who in the folder before.
    label : int64 array of shape (n,)
        The cluster of each face, all of them 0 or more; -1 for faces that get no folder.
    names : mapping
        Cluster to the name that the folder of most of its faces had.
    asserted : bool array of shape (n,)
        Faces of which the user said whose they are.
    wanted : frozenset of int
        Clusters that the user named, made, or put a face into: they get a folder, however few are in them.
    absorbed : mapping
        Rows of further faces of people who are not wanted, by their name.
    """

    known: GroupMembership
    label: Int64
    names: Mapping[int, str]
    asserted: Bool
    wanted: frozenset[int]
    absorbed: Mapping[str, Int64]


@dataclass(frozen=True, slots=True)
class Carried:
    """What a manifest takes over from the one before it."""

    statements: tuple[Correction, ...] = ()
    hidden: tuple[Group, ...] = ()
    set_aside: tuple[FaceEntry, ...] = ()
    files: Mapping[str, PlacedFile] = field(default_factory=dict)
    unwanted: frozenset[tuple[str, str]] = frozenset()
    learned: tuple[str, ...] = ()

    def named(self, names: Mapping[str, str]) -> "Carried":
        """The same with names that new groups have, too: number to name."""
        said = [Correction("named", old, name=name) for old, name in names.items()]
        renamed = [f"{printable(old)} was renamed to {printable(name)}." for old, name in names.items()]
        return replace(self, statements=(*self.statements, *said), learned=(*self.learned, *renamed))


def apply_user_edits(label: Int64, ids: Sequence[str], known: GroupMembership) -> UserConstraints:
    """Change a grouping so that it agrees with the user.

    Parameters
    ----------
    label : int64 array of shape (n,)
        The cluster of each face; negative for a face that is alone.
    """
    rows = {face: row for row, face in enumerate(ids)}
    label = label.copy()
    alone = np.flatnonzero(label < 0)
    label[alone] = label.max(initial=-1) + 1 + np.arange(len(alone))
    unused = count(int(label.max(initial=-1)) + 1)
    asserted = np.zeros(len(label), bool)
    groups = {name: _rows(faces, rows) for name, faces in known.groups.items()}
    said = faces_put(known.statements)
    own = {statement.name or statement.group for statement in known.statements if statement.kind == "named"}
    names: dict[int, str] = {}
    home: dict[str, int] = {}
    vouched = {
        name: np.array([r for r in group if ids[r] in said], np.int64) for name, group in groups.items()
    }
    is_own = {
        name: name in own or not NUMBERED_GROUP.fullmatch(name) or 0 < len(vouched[name]) == len(groups[name])
        for name in groups
    }
    for name in sorted(groups, key=lambda name: (is_own[name], len(vouched[name]) > 0), reverse=True):
        members = groups[name]
        taken = names if is_own[name] or len(vouched[name]) else {}
        common = _home(label, np.setdiff1d(members, vouched[name]), taken=taken)
        home[name] = next(unused) if common is None else common
        if is_own[name] or common is None:
            label[members] = home[name]
        if len(members):
            names.setdefault(home[name], name)
        label[vouched[name]] = home[name]
        asserted[vouched[name]] = True
    owner = {ids[row]: name for name, members in groups.items() for row in members}
    for statement in known.statements:
        row = rows.get(statement.face, -1)
        if statement.kind == NOT and row >= 0 and owner.get(statement.face) is None:
            label[row] = next(unused)
    absorbed, homes = {}, {*home.values()}
    for name, faces in known.hidden.items():
        members = _rows(faces, rows)
        if len(members) and (common := _common(label[members])) not in homes:
            absorbed[name] = np.setdiff1d(np.flatnonzero(label == common), members)
            label[absorbed[name]] = -1
        label[members] = -1
    label[_rows(known.set_aside, rows)] = -1
    wanted = frozenset(home[name] for name in groups if is_own[name] or len(vouched[name]))
    return UserConstraints(known, label, names, asserted, wanted, absorbed)


def names_of_clusters(clusters: Sequence[int], kind: str, said: UserConstraints | None) -> dict[int, str]:
    """Name clusters, the largest first: by what the user knows them as, else by numbers.

    These begin at 1, or past the highest in use where the user said anything about the result.
    """
    if said is None:
        return {
            cluster: numbered_name(kind, number, len(clusters)) for number, cluster in enumerate(clusters, 1)
        }
    fresh = [cluster for cluster in clusters if cluster not in said.names]
    following = following_names(kind, said.known.names_in_use(), len(fresh))
    return {**said.names, **dict(zip(fresh, following, strict=True))}


def _rows(faces: Iterable[FaceEntry], rows: Mapping[str, int]) -> Int64:
    return np.array([rows[face.face] for face in faces if face.face in rows], np.int64)


def _home(label: Int64, anchors: Int64, *, taken: Mapping[int, str]) -> int | None:
    """The cluster that most of these faces are in; None if there is none, or it has a name already."""
    if not len(anchors):
        return None
    common = _common(label[anchors])
    return None if common in taken else common


def _common(labels: Int64) -> int:
    values, counts = np.unique(labels, return_counts=True)
    return int(values[np.argmax(counts)])


def carried(
    said: UserConstraints | None,
    new_name: Mapping[int, str],
    ids: Sequence[str],
    describe: Callable[[int], FaceEntry],
) -> Carried:
    """What the next manifest takes over, groups by their new names.

    Parameters
    ----------
    new_name : mapping
        Cluster to the name of its folder.
    """
    if said is None:
        return Carried()
    known, row_of = said.known, {face: row for row, face in enumerate(ids)}
    place = {}
    for name, faces in known.groups.items():
        members = _rows(faces, row_of)
        if len(members):
            place[name] = new_name.get(_common(said.label[members]), name)
    for name, absorbed in said.absorbed.items():
        known.hidden[name] += [describe(int(row)) for row in absorbed]
    return Carried(
        statements=tuple(dict.fromkeys(_renamed(each, place) for each in known.statements)),
        hidden=as_groups(known.hidden),
        set_aside=tuple(known.set_aside),
        files=known.files,
        unwanted=frozenset((place.get(folder, folder), path) for folder, path in known.unwanted()),
        learned=tuple(known.learned),
    )


def _renamed(said: Correction, place: Mapping[str, str]) -> Correction:
    if said.kind == "named":
        name = place.get(said.name, said.name)
        return replace(said, group=name, name=name)
    return replace(said, group=place.get(said.group, said.group))
