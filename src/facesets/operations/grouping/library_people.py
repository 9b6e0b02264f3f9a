"""Who is who in the library decides about its folders, too: what a human said there holds here."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from facesets.interfaces import Store, is_library
from facesets.library_records import KnownPerson
from facesets.records import Int64
from facesets.results.manifest import FaceEntry
from facesets.results.membership import GroupMembership

_HIDDEN = re.compile(r"hidden-[0-9a-f]{8}")
"""Hidden people of a library among those who get no folder."""


def people_of(store: Store) -> Sequence[KnownPerson] | None:
    """Everybody of whom a human said something in the library; None where it is a cache."""
    return store.said_people() if is_library(store) else None


def follow_library(labels: Int64, ids: Sequence[str], people: Sequence[KnownPerson] | None) -> Int64:
    """Let the faces of each person be one cluster, and what else is in a cluster follow most of its people.

    A face that was said not to be somebody is alone rather than with them.

    Parameters
    ----------
    labels : int64 array of shape (n,)
        Negative for a face that is alone.

    Returns
    -------
    int64 array of shape (n,)
        Numbered as before, people's clusters after these.
    """
    if not people:
        return labels
    row = {face: i for i, face in enumerate(ids)}
    owner = np.full(len(labels), -1, np.int64)
    for number, person in enumerate(people):
        owner[[row[face] for face in person.faces if face in row]] = number
    followed = labels.copy()
    first = int(labels.max(initial=-1)) + 1
    for label in np.unique(labels[(owner >= 0) & (labels >= 0)]).tolist():
        members = np.flatnonzero(labels == label)
        most = int(np.bincount(owner[members][owner[members] >= 0]).argmax())
        refused = {row[face] for face in people[most].refused if face in row}
        free = members[owner[members] < 0]
        followed[free] = [-1 if face in refused else first + most for face in free.tolist()]
    followed[owner >= 0] = first + owner[owner >= 0]
    return followed


def with_hidden(
    known: GroupMembership | None,
    ids: Sequence[str],
    people: Sequence[KnownPerson] | None,
    describe: Callable[[int], FaceEntry],
) -> GroupMembership | None:
    """Who is who in a folder, with the hidden people of the library among those who get none."""
    if people is None:
        return known
    hidden = [person for person in people if person.is_hidden and person.faces]
    if known is not None:
        known.hidden = {n: faces for n, faces in known.hidden.items() if not _HIDDEN.fullmatch(n)}
    if not hidden:
        return known
    row = {face: i for i, face in enumerate(ids)}
    known = known or GroupMembership(groups={})
    known.hidden |= {
        f"hidden-{person.id[:8]}": [describe(row[face]) for face in sorted(person.faces) if face in row]
        for person in hidden
    }
    return known
