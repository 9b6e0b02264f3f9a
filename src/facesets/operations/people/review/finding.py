"""The search for suggestions: uncertain matches of faces and people, stored for `people review`.

Suggestions about single faces, and about people who may be two, need every vector: `cluster` searches for
them. Suggestions about people who may be one need only prototypes, those about ages no vectors at all:
`people review` searches for both after any change. With a projection head in use, all vectors are its
projections.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np

from facesets.clustering import Calibration, calibrate
from facesets.clustering.centroids import cluster_sums
from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.people.incremental import PersonMatches
from facesets.clustering.people.questions import (
    faces_far_from_people,
    faces_near_people,
    find_two_parts,
    people_to_check,
    similarity_to_rest,
)
from facesets.clustering.poor_faces import Clarity
from facesets.operations.people.corrections.contradictions import Settled
from facesets.operations.people.review.people_suggestions import (
    store_age_suggestions,
    store_people_suggestions,
)
from facesets.operations.people.training.heads import Head, active_head, is_in_use
from facesets.records import Float32
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.assigned_faces import AssignedFaces, people_now
from facesets.store.postgres.people.corrections import load_corrections
from facesets.store.postgres.people.face_details import quality_of_faces
from facesets.store.postgres.people.persons import active_people
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.people.suggestions import (
    ChangedPeople,
    FaceCandidate,
    PeopleCandidate,
    SuggestionSearch,
    changed_since,
    last_suggestion_search,
    newest_step,
    note_suggestion_search,
    replace_face_candidates,
    replace_people_candidates,
)

_MAX_OF_FACES = 20_000
_SAME_SIZE = 0.1
"""Growth of the library after which similarities are calibrated again."""

_MAX_CHANGED = 500
"""Changed people above which searching all is as fast."""

_UNDECIDED = 0.5
_NO_MATCHES = PersonMatches.joined([])


def find_all_suggestions(
    database: Database,
    detector: DetectorRow,
    faces: AssignedFaces,
    undecided: PersonMatches = _NO_MATCHES,
    undecided_persons: list[UUID] | None = None,
) -> None:
    """Search for all suggestions.

    Parameters
    ----------
    faces : AssignedFaces
        All faces of the detector; their current people are looked up.
    undecided : PersonMatches
        Faces, by number, that a run found similar to several of `undecided_persons`.
    """
    # The head in use may change during a long search.
    while not _looked_by_the_head_in_use(database, detector, faces, undecided, undecided_persons or []):
        pass


def _looked_by_the_head_in_use(
    database: Database,
    detector: DetectorRow,
    faces: AssignedFaces,
    undecided: PersonMatches,
    undecided_persons: list[UUID],
) -> bool:
    """Search for all suggestions; False, and nothing is stored, if another head came into use meanwhile."""
    faces = database.run(people_now, faces)
    head = database.run(active_head, detector.model_id)
    known = database.run(last_suggestion_search, detector.model_id)
    # The person of a face of too low quality cannot be determined.
    faces = faces.take(database.run(quality_of_faces, detector, faces.face_id) > Clarity.NOTHING)
    if head is not None:
        faces = replace(faces, embedding=head.project(faces.embedding))
    measured = _measured(known, faces, detector, head)
    means = _means(faces)
    rest = similarity_to_rest(faces.embedding, faces.person, means)
    candidates = [*_near(faces, means, measured), *_far(faces, rest, measured)]
    if head is not None:
        undecided = _compared_again(undecided, undecided_persons, faces, means)
    for face, person, similarity in zip(
        undecided.face.tolist(), undecided.person.tolist(), undecided.similarity.tolist(), strict=True
    ):
        candidates.append(FaceCandidate(face, undecided_persons[person], "near", similarity, _UNDECIDED))
    halves = list(_of_halves(faces, rest, measured))
    due = database.run(_prepare, detector, None)

    def work(connection: Connection) -> bool:
        if not is_in_use(connection, detector.model_id, head):
            return False
        settled, active = Settled(load_corrections(connection)), active_people(connection)
        replace_face_candidates(
            connection,
            detector.model_id,
            _most(
                [
                    each
                    for each in candidates
                    if each.person in active and not settled.is_settled(each.face, each.person)
                ]
            ),
            ("near", "far"),
        )
        replace_people_candidates(
            connection,
            [
                each
                for each in halves
                if each.person in active and not settled.is_settled(each.part[0], each.rest)
            ],
            ("split",),
        )
        store_age_suggestions(connection, detector, settled, active)
        store_people_suggestions(connection, detector, measured, settled, active, head)
        note_suggestion_search(connection, detector.model_id, _looked(due, measured))
        return True

    return database.run(work)


def find_people_suggestions(database: Database, detector: DetectorRow, *, of_steps: bool = False) -> None:
    """Search for people and clusters that may be the same person, if anything changed.

    It does not block answers.

    Parameters
    ----------
    of_steps : bool
        Search only people changed by steps, in a time independent of the number of faces; not those changed
        by SQL or by missing photos. If too many changed, search all.
    """
    known = database.run(last_suggestion_search, detector.model_id)
    if known is not None and known.step == database.run(newest_step):
        return
    due = database.run(_prepare, detector, known if of_steps else None)

    def work(connection: Connection) -> None:
        head = active_head(connection, detector.model_id)
        measured = _stored_calibration(known, detector, head)
        settled, active = Settled(load_corrections(connection)), active_people(connection)
        changed = None if due.changed is None else list(due.changed.persons)
        store_age_suggestions(connection, detector, settled, active, changed)
        store_people_suggestions(connection, detector, measured, settled, active, head, due.changed)
        note_suggestion_search(connection, detector.model_id, _looked(due, measured))

    database.run(work)


@dataclass(frozen=True, slots=True)
class _PeopleToSearch:
    """The people and clusters to search.

    Attributes
    ----------
    step : int
        The latest step that the prototypes include.
    changed : ChangedPeople or None
        Only these people; None for all.
    """

    step: int
    changed: ChangedPeople | None


def _prepare(
    connection: Connection, detector: DetectorRow, since: SuggestionSearch | None
) -> _PeopleToSearch:
    """Remake stale prototypes, of the people changed since that search, by default of all.

    Run it in a separate transaction, because it blocks other steps until its end.
    """
    step = newest_step(connection)
    changed = None
    if since is not None:
        changed = changed_since(connection, detector.model_id, since.step, most=_MAX_CHANGED)
    refresh_prototypes(connection, detector, None if changed is None else list(changed.persons))
    return _PeopleToSearch(step, changed)


def calibration_of(connection: Connection, detector: DetectorRow, head: Head | None) -> Calibration:
    """Return the calibration of the last search for suggestions, else the published one."""
    return _stored_calibration(last_suggestion_search(connection, detector.model_id), detector, head)


def _looked(due: _PeopleToSearch, measured: Calibration) -> SuggestionSearch:
    return SuggestionSearch(due.step, measured.typical, measured.middle, measured.spread, measured.faces)


def _stored_calibration(
    known: SuggestionSearch | None, detector: DetectorRow, head: Head | None
) -> Calibration:
    if known is not None:
        return Calibration(known.typical, known.middle, known.spread, known.faces, "measured earlier")
    if head is not None:
        return _of_head(head, 0)
    usual = known_recognizer(detector.settings.recognizer)
    return Calibration(usual.typical, usual.middle, usual.spread, 0, usual.source)


def _of_head(head: Head, faces: int) -> Calibration:
    """Return the calibration for a head's projections, as measured when it was trained."""
    made = head.thresholds
    return Calibration.linking_at(1 - made.max_cosine_distance, made.middle, made.spread, faces)


def _measured(
    known: SuggestionSearch | None, faces: AssignedFaces, detector: DetectorRow, head: Head | None
) -> Calibration:
    count = len(faces.face_id)
    if head is not None:
        return _of_head(head, count)
    if known is not None and abs(count - known.faces) <= _SAME_SIZE * known.faces:
        return _stored_calibration(known, detector, head)
    measured = calibrate(faces.embedding, image_index=faces.image, recognizer=detector.settings.recognizer)
    # Suggestions are about means of many faces, for which one calibration serves all recognizers.
    return replace(measured, pairs=None)


def _compared_again(
    undecided: PersonMatches, persons: list[UUID], faces: AssignedFaces, means: Float32
) -> PersonMatches:
    """Return the pairs with mean similarities of these vectors, without people who have no face now."""
    row = {face: place for place, face in enumerate(faces.face_id.tolist())}
    mine = {person: place for place, person in enumerate(faces.persons)}
    pairs = zip(undecided.face.tolist(), undecided.person.tolist(), strict=True)
    there = np.array([face in row and persons[person] in mine for face, person in pairs], bool)
    remaining = undecided.of(there)
    rows = faces.embedding[[row[face] for face in remaining.face.tolist()]]
    means_of_people = means[[mine[persons[person]] for person in remaining.person.tolist()]]
    return replace(remaining, similarity=np.einsum("ij,ij->i", rows, means_of_people))


def _near(faces: AssignedFaces, means: Float32, measured: Calibration) -> Iterator[FaceCandidate]:
    """Return unassigned faces near one or two people."""
    new = np.flatnonzero(faces.person < 0)
    near = faces_near_people(faces.embedding[new], means, np.arange(len(means)), measured)
    for row, person, similarity, likely in zip(
        new[near.first].tolist(),
        near.second.tolist(),
        near.similarity.tolist(),
        near.likely.tolist(),
        strict=True,
    ):
        yield FaceCandidate(int(faces.face_id[row]), faces.persons[person], "near", similarity, likely)


def _far(faces: AssignedFaces, rest: Float32, measured: Calibration) -> Iterator[FaceCandidate]:
    """Return faces with a low similarity to the rest of their person."""
    far = faces_far_from_people(rest, measured)
    for row, similarity, likely in zip(
        far.row.tolist(), far.similarity.tolist(), far.likely.tolist(), strict=True
    ):
        person = faces.persons[int(faces.person[row])]
        yield FaceCandidate(int(faces.face_id[row]), person, "far", similarity, likely)


def _of_halves(faces: AssignedFaces, rest: Float32, measured: Calibration) -> Iterator[PeopleCandidate]:
    """Return people who may be two."""
    order = np.argsort(faces.person, kind="stable")
    start = np.searchsorted(faces.person[order], np.arange(len(faces.persons) + 1))
    for person in people_to_check(rest, faces.person, measured).tolist():
        rows = order[start[person] : start[person + 1]]
        halves = find_two_parts(faces.embedding[rows], measured)
        if halves is not None:
            yield PeopleCandidate(
                id=0,
                kind="split",
                person=faces.persons[person],
                other=None,
                cluster=None,
                cosine_similarity=halves.similarity,
                faces=len(halves.rows),
                uncertainty=halves.likely,
                part=faces.face_id[rows[halves.rows]].tolist(),
                rest=int(faces.face_id[rows[halves.other]]),
            )


def _means(faces: AssignedFaces) -> Float32:
    """Return the mean embedding of each person; not of unit length."""
    counts = np.bincount(faces.person[faces.person >= 0], minlength=len(faces.persons))
    sums = cluster_sums(faces.embedding, faces.person)
    means: Float32 = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    return means


def _most(candidates: list[FaceCandidate]) -> list[FaceCandidate]:
    return sorted(candidates, key=lambda each: -each.uncertainty)[:_MAX_OF_FACES]
