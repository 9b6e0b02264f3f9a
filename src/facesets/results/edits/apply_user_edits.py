"""Apply the corrections in a result folder to a new grouping."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from facesets.files import printable
from facesets.records import Bool, Int64
from facesets.results.edits.membership import NOT, GroupMembership, assigned_faces
from facesets.results.edits.user_edits import as_groups
from facesets.results.manifest import Correction, FaceEntry, Group, PlacedFile
from facesets.results.names.group_names import NUMBERED_GROUP, following_names, numbered_name


@dataclass(frozen=True, slots=True)
class UserConstraints:
    """What the user's corrections require of a grouping.

    Attributes
    ----------
    membership : GroupMembership
        The people in the folder before.
    label : int64 array of shape (n,)
        The cluster of each face, all of them 0 or more; -1 for faces that get no folder.
    names : mapping
        Cluster to the name that the folder of most of its faces had.
    assigned_by_user : bool array of shape (n,)
        Faces that the user assigned.
    wanted : frozenset of int
        Clusters that the user named, made, or put a face into: they get a folder, however few faces they
        have.
    absorbed : mapping
        Rows of further faces of hidden people, by name.
    """

    membership: GroupMembership
    label: Int64
    names: Mapping[int, str]
    assigned_by_user: Bool
    wanted: frozenset[int]
    absorbed: Mapping[str, Int64]


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a manifest inherits from the one before it."""

    corrections: tuple[Correction, ...] = ()
    hidden: tuple[Group, ...] = ()
    set_aside: tuple[FaceEntry, ...] = ()
    files: Mapping[str, PlacedFile] = field(default_factory=dict)
    unwanted: frozenset[tuple[str, str]] = frozenset()
    learned: tuple[str, ...] = ()

    def named(self, names: Mapping[str, str]) -> "Inherited":
        """Return a copy that also names new groups: number to name."""
        corrections = [Correction("named", old, name=name) for old, name in names.items()]
        renamed = [f"{printable(old)} was renamed to {printable(name)}." for old, name in names.items()]
        return replace(self, corrections=(*self.corrections, *corrections), learned=(*self.learned, *renamed))


def apply_user_edits(label: Int64, ids: Sequence[str], membership: GroupMembership) -> UserConstraints:
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
    assigned_by_user = np.zeros(len(label), bool)
    groups = {name: _rows(faces, rows) for name, faces in membership.groups.items()}
    assigned = assigned_faces(membership.corrections)
    own = {each.name or each.group for each in membership.corrections if each.kind == "named"}
    names: dict[int, str] = {}
    home: dict[str, int] = {}
    confirmed = {
        name: np.array([r for r in group if ids[r] in assigned], np.int64) for name, group in groups.items()
    }
    is_own = {
        name: name in own
        or not NUMBERED_GROUP.fullmatch(name)
        or 0 < len(confirmed[name]) == len(groups[name])
        for name in groups
    }
    for name in sorted(groups, key=lambda name: (is_own[name], len(confirmed[name]) > 0), reverse=True):
        members = groups[name]
        taken = names if is_own[name] or len(confirmed[name]) else {}
        common = _home(label, np.setdiff1d(members, confirmed[name]), taken=taken)
        home[name] = next(unused) if common is None else common
        if is_own[name] or common is None:
            label[members] = home[name]
        if len(members):
            names.setdefault(home[name], name)
        label[confirmed[name]] = home[name]
        assigned_by_user[confirmed[name]] = True
    owner = {ids[row]: name for name, members in groups.items() for row in members}
    for correction in membership.corrections:
        row = rows.get(correction.face, -1)
        if correction.kind == NOT and row >= 0 and owner.get(correction.face) is None:
            label[row] = next(unused)
    absorbed, homes = {}, {*home.values()}
    for name, faces in membership.hidden.items():
        members = _rows(faces, rows)
        if len(members) and (common := _common(label[members])) not in homes:
            absorbed[name] = np.setdiff1d(np.flatnonzero(label == common), members)
            label[absorbed[name]] = -1
        label[members] = -1
    label[_rows(membership.set_aside, rows)] = -1
    wanted = frozenset(home[name] for name in groups if is_own[name] or len(confirmed[name]))
    return UserConstraints(membership, label, names, assigned_by_user, wanted, absorbed)


def names_of_clusters(
    clusters: Sequence[int], kind: str, constraints: UserConstraints | None
) -> dict[int, str]:
    """Name clusters, the largest first: by the user's names, else by numbers.

    Numbers begin at 1, or past the highest in use if the user corrected the result.
    """
    if constraints is None:
        return {
            cluster: numbered_name(kind, number, len(clusters)) for number, cluster in enumerate(clusters, 1)
        }
    fresh = [cluster for cluster in clusters if cluster not in constraints.names]
    following = following_names(kind, constraints.membership.names_in_use(), len(fresh))
    return {**constraints.names, **dict(zip(fresh, following, strict=True))}


def _rows(faces: Iterable[FaceEntry], rows: Mapping[str, int]) -> Int64:
    return np.array([rows[face.face] for face in faces if face.face in rows], np.int64)


def _home(label: Int64, anchors: Int64, *, taken: Mapping[int, str]) -> int | None:
    """Return the cluster of most of these faces; None if there is none, or if it already has a name."""
    if not len(anchors):
        return None
    common = _common(label[anchors])
    return None if common in taken else common


def _common(labels: Int64) -> int:
    values, counts = np.unique(labels, return_counts=True)
    return int(values[np.argmax(counts)])


def inherit(
    constraints: UserConstraints | None,
    new_name: Mapping[int, str],
    ids: Sequence[str],
    describe: Callable[[int], FaceEntry],
) -> Inherited:
    """Return what the next manifest inherits, with groups by their new names.

    Parameters
    ----------
    new_name : mapping
        Cluster to the name of its folder.
    """
    if constraints is None:
        return Inherited()
    membership, row_of = constraints.membership, {face: row for row, face in enumerate(ids)}
    place = {}
    for name, faces in membership.groups.items():
        members = _rows(faces, row_of)
        if len(members):
            place[name] = new_name.get(_common(constraints.label[members]), name)
    for name, absorbed in constraints.absorbed.items():
        membership.hidden[name] += [describe(int(row)) for row in absorbed]
    return Inherited(
        corrections=tuple(dict.fromkeys(_renamed(each, place) for each in membership.corrections)),
        hidden=as_groups(membership.hidden),
        set_aside=tuple(membership.set_aside),
        files=membership.files,
        unwanted=frozenset((place.get(folder, folder), path) for folder, path in membership.unwanted()),
        learned=tuple(membership.learned),
    )


def _renamed(correction: Correction, place: Mapping[str, str]) -> Correction:
    if correction.kind == "named":
        name = place.get(correction.name, correction.name)
        return replace(correction, group=name, name=name)
    return replace(correction, group=place.get(correction.group, correction.group))
