"""`people split`: a person or cluster that may be several people."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import numpy as np

from facesets.clustering import Constraints, same_image_pairs
from facesets.clustering.people.splitting import distances_between, split
from facesets.imaging.sheets import MAX_CROPS
from facesets.operations.options.people import SplitOptions
from facesets.operations.people.corrections.correcting import confirm_person, correcting_step
from facesets.operations.people.corrections.lookup import (
    Finder,
    called,
    find,
    require_person,
    short,
    step_number,
)
from facesets.operations.people.lists.person_sheet import draw_parts
from facesets.plurals import counted
from facesets.records import Int64
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people.corrections import (
    Corrections,
    load_corrections,
    store_different_people,
    tied_faces,
)
from facesets.store.postgres.people.face_details import FaceVectors, vectors_of_faces
from facesets.store.postgres.people.person_faces import FaceLine, face_lines
from facesets.store.postgres.people.persons import faces_of_person, give_faces, make_person
from facesets.store.postgres.people.steps import Step, changing
from facesets.work import Work

_SHORT_HASH = 6


@dataclass(frozen=True, slots=True)
class SplitPart:
    """Faces that probably show one person.

    Attributes
    ----------
    name : str
        The name of the part afterwards: the person or cluster itself, a new cluster, or a new person's
        number, empty until it is made.
    faces : list of int
        Numbers of the faces, the most typical of the part first.
    distances : list of float
        Cosine distances between its mean and that of each part.
    stays : bool
        Whether the faces keep their person.
    """

    name: str
    faces: list[int]
    photos: int
    distances: list[float]
    stays: bool


@dataclass(frozen=True, slots=True)
class _Whole:
    """The person to split, or the faces of a cluster."""

    name: str
    person: UUID | None
    faces: tuple[int, ...]
    cluster: str = ""


def propose_split(database: Database, name_or_id: str, options: SplitOptions) -> Result:
    """Return the parts that a person could be split into. Raises `WrongUsage` if there is no person."""
    return database.run(lambda connection: _propose(connection, _whole(connection, name_or_id), options))


def draw_split(database: Database, proposal: Result, path: Path, *, work: Work) -> None:
    """Draw the most typical faces of each part. Raises `CannotWrite`."""

    def shown(connection: Connection) -> list[list[FaceLine]]:
        return [face_lines(connection, part.faces[:MAX_CROPS]) for part in proposal.parts]

    names = [
        f"{number}: {counted(len(part.faces), 'face')}" + (f", {part.name}" if part.name else "")
        for number, part in enumerate(proposal.parts, 1)
    ]
    parts = list(zip(names, database.run(shown), strict=True))
    draw_parts(proposal.name, parts, path, work=work)


def apply_split(
    database: Database, name_or_id: str, options: SplitOptions, *, by: str, finder: Finder = find
) -> Result:
    """Split a person into several, as one change.

    The part with the confirmed faces of the person stays, else the largest; the others become unnamed people,
    confirmed as different from that person. Parts of a cluster become clusters.

    Raises
    ------
    WrongUsage
        The person does not exist.
    """

    def work(connection: Connection) -> Result:
        whole = _whole(connection, name_or_id, finder)
        return _apply(connection, whole, _propose(connection, whole, options), by=by)

    return changing(database, work)


def _apply(connection: Connection, whole: _Whole, proposal: Result, *, by: str) -> Result:
    if len(proposal.parts) < 2:
        return proposal
    what = f"{whole.name} split into {counted(len(proposal.parts), 'part')}"
    with correcting_step(connection, "split", by, what) as step:
        if whole.person is None:
            parts = [_as_cluster(step, whole.cluster, part) for part in proposal.parts]
        else:
            person = whole.person
            parts = [part if part.stays else _as_person(step, person, part) for part in proposal.parts]
            confirm_person(step, person)
    return Result(proposal, parts=parts, step=step_number(connection, step))


def _whole(connection: Connection, name_or_id: str, finder: Finder = find) -> _Whole:
    found = finder(connection, name_or_id)
    if found.person is None:
        return _Whole(name_or_id.strip(), None, found.faces, name_or_id.strip())
    state = require_person(connection, found.person)
    return _Whole(called(state), state.id, tuple(faces_of_person(connection, state.id)))


def _propose(connection: Connection, whole: _Whole, options: SplitOptions) -> Result:
    summary = Result(
        name=whole.name,
        faces=len(whole.faces),
        parts=[],  # a single part: the faces belong together
        min_cosine_similarity=0.0,  # the mean similarity at which they separate
        step=None,
    )
    models = vectors_of_faces(connection, whole.faces)
    if not models:
        return summary
    faces = models[0]
    corrections = load_corrections(connection)
    confirmed = [each.face for each in corrections.faces if each.is_person and each.person == whole.person]
    known = set(tied_faces(connection, confirmed)) if confirmed else set()
    parts = split(
        faces.embedding,
        count=options.parts,
        min_size=options.min_size,
        constraints=_constraints(faces, corrections, known),
        recognizer=faces.recognizer,
    )
    staying = _staying(parts.labels, faces.face_id, known)
    labels = np.where(parts.labels < 0, staying, parts.labels)
    distances = distances_between(faces.embedding, labels)
    found = [
        _part(whole, faces, labels, number, distances[number].tolist(), stays=number == staying)
        for number in range(parts.count)
    ]
    return Result(summary, parts=found, min_cosine_similarity=parts.min_cosine_similarity)


def _constraints(faces: FaceVectors, corrections: Corrections, known: set[int]) -> Constraints:
    """Return corrections of the faces as constraints; confirmed faces of the person stay together."""
    row = {face: i for i, face in enumerate(faces.face_id.tolist())}
    pairs = [
        (row[p.first], row[p.second], p.same)
        for p in corrections.face_pairs
        if p.first in row and p.second in row
    ]
    ours = sorted(row[face] for face in known if face in row)
    must = [(one, other) for one, other, same in pairs if same] + list(pairwise(ours))
    cannot = [(one, other) for one, other, same in pairs if not same]
    own = Constraints(np.array(must, np.int64).reshape(-1, 2), np.array(cannot, np.int64).reshape(-1, 2))
    return own.plus(same_image_pairs(faces.embedding, faces.image))


def _staying(labels: Int64, face_id: Int64, known: set[int]) -> int:
    """Return the part that stays: with most of the person's confirmed faces, else the largest."""
    held = labels[np.isin(face_id, list(known)) & (labels >= 0)]
    return int(np.bincount(held).argmax()) if len(held) else 0


def _part(
    whole: _Whole, faces: FaceVectors, labels: Int64, number: int, distances: Sequence[float], *, stays: bool
) -> SplitPart:
    members = np.flatnonzero(labels == number)
    mean = faces.embedding[members].mean(axis=0)
    order = members[np.argsort(-(faces.embedding[members] @ mean), kind="stable")]
    ids = faces.face_id[order].tolist()
    name = whole.name if stays else ""
    if whole.person is None and not stays:
        digest = hashlib.sha256(" ".join(map(str, sorted(ids))).encode()).hexdigest()
        name = f"{whole.cluster}_sub_{digest[:_SHORT_HASH]}"
    photos = len(np.unique(faces.image[members]))
    return SplitPart(name, ids, photos, [round(each, 4) for each in distances], stays)


def _as_person(step: Step, person: UUID, part: SplitPart) -> SplitPart:
    new = make_person(step)
    give_faces(step, part.faces, new)
    confirm_person(step, new)
    store_different_people(step, person, new)
    return replace(part, name=short(new))


def _as_cluster(step: Step, cluster: str, part: SplitPart) -> SplitPart:
    if part.name != cluster:
        step.connection.execute(
            "UPDATE face_detections SET cluster = %s WHERE id = ANY(%s::bigint[])", (part.name, part.faces)
        )
    return part
