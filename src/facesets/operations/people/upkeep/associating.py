"""`maintain associate | merge-similar | must-links | violations`: clusters merged, corrections applied."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

import numpy as np

from facesets.clustering import Constraints
from facesets.clustering.constraints import among
from facesets.clustering.graph import join_pairs, threshold_graph
from facesets.clustering.merging import associate
from facesets.operations.people.corrections.absorbing import absorb
from facesets.operations.people.corrections.contradictions import describing
from facesets.records import Bool, Float32, Int64
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.corrections import (
    Corrections,
    FaceCorrection,
    broken_corrections,
    load_corrections,
)
from facesets.store.postgres.people.persons import give_faces, make_person, person_state, persons_of_faces
from facesets.store.postgres.people.steps import Step
from facesets.store.postgres.people.upkeep import (
    Node,
    Nodes,
    all_faces_of_cluster,
    delete_clusters,
    faces_of_nodes,
    load_nodes,
    nodes_of_faces,
    set_cluster,
)

_NO_OWNER = -1


def associate_clusters(
    step: Step, detector: DetectorRow, *, max_cosine_distance: float, same_image_ok: bool
) -> Result:
    """Group clusters into people by complete linkage of their centroids."""
    known = load_nodes(step.connection, detector, same_image_ok=same_image_ok)
    if not known.nodes:
        return Result(joined=0, made=0, merged=0, named_alike=0)
    owner, own = _owners(known.nodes)
    tied, left_out = _tied_by_corrections(step.connection, known, owner, own)
    group = associate(
        known.centroid,
        max_cosine_distance=max_cosine_distance,
        constraints=Constraints(np.concatenate([own, tied]), known.apart),
        owner=owner,
    )
    did: Counter[str] = Counter()
    for label in np.flatnonzero(np.bincount(group) > 1).tolist():
        rows = np.flatnonzero((group == label) & ~left_out).tolist()
        did.update(_make_one(step, [known.nodes[row] for row in rows]))
    similar = _near_owners(known.centroid, owner, max_cosine_distance)
    return Result(
        joined=did["joined"],  # unnamed clusters that joined a person
        made=did["made"],  # people made from clusters
        merged=did["merged"],  # people without corrections who were merged into another
        named_alike=similar,  # pairs of people with corrections who may be one
    )


def _owners(nodes: Sequence[Node]) -> tuple[Int64, Int64]:
    """Return the confirmed person of each node, by number; and pairs of nodes of any one person."""
    number: dict[UUID, int] = {}
    owner = np.full(len(nodes), _NO_OWNER, np.int64)
    first: dict[UUID, int] = {}
    must = []
    for row, node in enumerate(nodes):
        if node.person is None:
            continue
        if node.is_vouched:
            owner[row] = number.setdefault(node.person, len(number))
        if (before := first.setdefault(node.person, row)) != row:
            must.append((before, row))
    return owner, np.array(must, np.int64).reshape(-1, 2)


def _tied_by_corrections(
    connection: Connection, known: Nodes, owner: Int64, own: Int64
) -> tuple[Int64, Bool]:
    """Return pairs of nodes tied by corrections of their faces, also through others; and those left out.

    Nodes are left out if such ties would merge them with a person that corrections exclude.
    """
    faces = tied_components(load_corrections(connection))
    number = nodes_of_faces(connection, [face for members in faces for face in members])
    row = {node.number: row for row, node in enumerate(known.nodes)}
    pairs: list[tuple[int, int]] = []
    for members in faces:
        found = {row[number[face]] for face in members if number.get(face) in row}
        pairs += pairwise(sorted(found))
    tied = np.array(pairs, np.int64).reshape(-1, 2)
    count = len(known.nodes)
    unit = join_pairs(count, own[:, 0], own[:, 1])
    both = np.concatenate([own, tied])
    part = join_pairs(count, both[:, 0], both[:, 1])
    first, second = known.apart[:, 0], known.apart[:, 1]
    torn = np.zeros(count, bool)
    torn[part[first[(part[first] == part[second]) & (unit[first] != unit[second])]]] = True
    owned = np.unique(np.stack([part[owner >= 0], owner[owner >= 0]], axis=1), axis=0)[:, 0]
    torn |= np.bincount(owned, minlength=count) > 1
    return tied[~torn[part[tied[:, 0]]]], torn[part] & (owner < 0)


def _make_one(step: Step, members: Sequence[Node]) -> Counter[str]:
    """Make the clusters of a group one person; return the counts of changes."""
    if len(members) < 2:
        return Counter()
    did: Counter[str] = Counter()
    people = Counter(node.person for node in members if node.person is not None)
    free = [node for node in members if node.person is None]
    if people:
        verified = {node.person for node in members if node.is_verified}
        vouched = {node.person for node in members if node.is_vouched}
        # Counter keeps the order of the nodes, the oldest first.
        target = max(people, key=lambda each: (each in vouched, each in verified, people[each]))
        did["merged"] = sum(absorb(step, each, target) for each in people if each != target)
        did["joined"] = len(free)
    else:
        target = make_person(step)
        did["made"] = 1
    if free:
        give_faces(step, faces_of_nodes(step.connection, [node.number for node in free]), target, "auto")
    return did


def _near_owners(centroid: Float32, owner: Int64, max_cosine_distance: float) -> int:
    """Count pairs of owners that have clusters within a distance."""
    named = np.flatnonzero(owner >= 0)
    if len(named) < 2:
        return 0
    near = threshold_graph(centroid[named], min_cosine_similarity=1 - max_cosine_distance)
    ends = np.sort(np.stack([owner[named[near.i]], owner[named[near.j]]], axis=1), axis=1)
    return len(np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0))


def merge_similar_clusters(
    step: Step, detector: DetectorRow, *, max_cosine_distance: float, same_image_ok: bool
) -> int:
    """Merge clusters with similar centroids into the larger one; return how many were merged.

    Verified clusters, and those of different people, stay apart.
    """
    known = load_nodes(step.connection, detector, same_image_ok=same_image_ok)
    rows = np.array([i for i, node in enumerate(known.nodes) if _may_merge(node)], np.int64)
    if len(rows) < 2:
        return 0
    nodes = [known.nodes[row] for row in rows]
    group = associate(
        known.centroid[rows],
        max_cosine_distance=max_cosine_distance,
        constraints=among(Constraints(cannot_link=known.apart), rows, len(known.nodes)),
        owner=_persons(nodes),
    )
    merged = 0
    for label in np.flatnonzero(np.bincount(group) > 1).tolist():
        names = _by_size([nodes[row] for row in np.flatnonzero(group == label)])
        for name in names[1:]:
            set_cluster(step, all_faces_of_cluster(step.connection, name), names[0])
        delete_clusters(step, names[1:])
        merged += len(names) - 1
    return merged


def _may_merge(node: Node) -> bool:
    return node.cluster is not None and not node.is_verified


def _persons(nodes: Sequence[Node]) -> Int64:
    number: dict[UUID, int] = {}
    return np.array(
        [_NO_OWNER if node.person is None else number.setdefault(node.person, len(number)) for node in nodes],
        np.int64,
    )


def _by_size(nodes: Sequence[Node]) -> list[str]:
    """Return the clusters of some nodes, the one with most faces first, ties by age."""
    size: Counter[str] = Counter()
    for node in nodes:
        size[str(node.cluster)] += node.faces
    return [name for name, _ in size.most_common()]


def close_must_links(step: Step) -> Result:
    """Assign faces that corrections tie together to one person, and merge unnamed people of them.

    Two named people are not merged: that is a violation for the user to resolve. Returns how many faces were
    assigned, and how many unnamed people were merged.
    """
    corrections = load_corrections(step.connection)
    of_face: dict[int, list[FaceCorrection]] = {}
    for each in corrections.faces:
        of_face.setdefault(each.face, []).append(each)
    faces = merged = 0
    for members in tied_components(corrections):
        given, joined = _tie(step, members, [each for face in members for each in of_face.get(face, [])])
        faces, merged = faces + given, merged + joined
    return Result(faces=faces, merged=merged)


def tied_components(corrections: Corrections) -> list[list[int]]:
    """Return groups of faces that corrections tie together, also through others."""
    pairs = [(pair.first, pair.second) for pair in corrections.face_pairs if pair.same]
    if not pairs:
        return []
    ids, ends = np.unique(np.array(pairs, np.int64), return_inverse=True)
    ends = ends.reshape(-1, 2)
    part = join_pairs(len(ids), ends[:, 0], ends[:, 1])
    order = np.argsort(part, kind="stable")
    cuts = np.flatnonzero(np.diff(part[order])) + 1
    return [each.tolist() for each in np.split(ids[order], cuts)]


def _tie(step: Step, members: list[int], corrections: list[FaceCorrection]) -> tuple[int, int]:
    """Assign the faces of a component to one person; return how many got a person and how many merged.

    `corrections` are those of these faces.
    """
    connection = step.connection
    owners = persons_of_faces(connection, members)
    people = Counter(person for person in owners.values() if person is not None)
    confirmed = {each.person for each in corrections if each.is_person}
    target = _owner(connection, people, confirmed)
    if target is None:
        return 0, 0
    merged = 0
    for person in people:
        state = person_state(connection, person)
        if person != target and state is not None and not state.names and state.status != "hidden":
            merged += absorb(step, person, target)
    refused = any(each.person == target and not each.is_person for each in corrections)
    free = [face for face, person in owners.items() if person is None]
    if not free or refused:
        return 0, merged
    give_faces(step, free, target, "constrained")
    return len(free), merged


def _owner(connection: Connection, people: Counter[UUID], confirmed: set[UUID]) -> UUID | None:
    """Return the confirmed person, else the named one, else the one with most faces; None if unclear."""
    found = {person: person_state(connection, person) for person in {*people, *confirmed}}
    there = {person: state for person, state in found.items() if state is not None}
    named = {person for person, state in there.items() if state.names}
    for clear in (confirmed & set(there), named):
        if clear:
            return next(iter(clear)) if len(clear) == 1 else None
    return max(sorted(there), key=lambda person: there[person].faces, default=None)


def violations(connection: Connection) -> list[str]:
    """Return all corrections that are not followed, in words."""
    describe = describing(connection)
    return [describe(each) for each in broken_corrections(connection)]
