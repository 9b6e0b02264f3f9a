"""`explain`: why a face was matched to a person, and what would have changed that."""

from dataclasses import dataclass, field, replace
from uuid import UUID

import numpy as np

from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.people.assigning import measured_threshold, usual_review
from facesets.errors import Command, Field, NotFound
from facesets.operations.options.people import DEFAULT_MARGIN
from facesets.operations.people.corrections.contradictions import describing
from facesets.operations.people.corrections.lookup import called, find_person, require_person, short
from facesets.operations.people.review.finding import calibration_of
from facesets.operations.people.review.verdict import (
    PersonSimilarity,
    turning_point,
    verdict_of,
    verdict_of_unassigned,
)
from facesets.operations.people.training.heads import Head, active_head
from facesets.records import Float32
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.models import DetectorRow, detectors
from facesets.store.postgres.people.corrections import load_corrections, tied_faces
from facesets.store.postgres.people.face_details import (
    FaceRow,
    find_face,
    last_step_of_face,
    mean_without,
    nearest_of_person,
    vectors_of_faces,
)
from facesets.store.postgres.people.person_faces import face_lines
from facesets.store.postgres.people.persons import faces_of_person
from facesets.store.postgres.people.prototypes import (
    Prototypes,
    count_prototypes,
    refresh_prototypes,
    similar_people,
    stored_prototypes,
)
from facesets.store.postgres.people.undoing import StepRow, find_step
from facesets.store.postgres.runs import last_summary

_NEAREST = 5
_RIVALS = 4
"""Number of most similar people to look up; at least two are neither the owner nor the person in question."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a face was matched to a person.

    Attributes
    ----------
    person, name : str
        The person of the face; empty if unassigned.
    assigned_by : str
        `auto`, `manual`, `constrained` or `imported`.
    step : StepRow or None
        The latest change that assigned or unassigned the face.
    about : PersonSimilarity or None
        The person in question: the one given, else its person, else the most similar. None where it cannot
        be compared.
    runner_up : PersonSimilarity or None
        The most similar of all others.
    thresholds : mapping
        Cosine similarities used by `assign` and suggestions.
    head : str
        The head in use (see `train`), which decided by its projections; empty for none.
    corrections : list of str
        Corrections that determine its person, in words.
    turning_point : float or None
        The cosine similarity with that person at which `assign` would decide otherwise.
    verdict : str
        The conclusion in a sentence.
    """

    face: int
    photo: str
    quality: float
    person: str
    name: str
    assigned_by: str
    assigned_at: str
    step: StepRow | None
    about: PersonSimilarity | None
    runner_up: PersonSimilarity | None
    thresholds: dict[str, float]
    corrections: list[str] = field(default_factory=list, metadata={"key": "statements"})
    turning_point: float | None = None
    verdict: str = ""
    head: str = ""


class NoSuchFace(NotFound):
    """There is no face with that number."""


def explain(database: Database, face: int, name_or_id: str | None = None) -> Explanation:
    """Explain one face, by default for its person, else for the most similar one.

    Raises
    ------
    WrongUsage
        There is no such face or person.
    """
    return database.run(_explain, face, name_or_id)


def _explain(connection: Connection, number: int, name_or_id: str | None) -> Explanation:
    face = find_face(connection, number) if 0 < number < 2**63 else None
    if face is None:
        show = Command("people show", "WHO", Field("limit", "20"))
        raise NoSuchFace(f"Face not found: {number}. To list face numbers, run {show}.")
    detector = next(each for each in detectors(connection) if each.id == face.detector_id)
    given = None if name_or_id is None else find_person(connection, name_or_id).id
    head = active_head(connection, detector.model_id)
    refresh_prototypes(connection, detector)
    about, runner_up = _similarities_to_people(connection, face, detector, given, head)
    thresholds = _thresholds(connection, detector, head)
    corrections = _corrections_in_words(connection, number)
    (line,) = face_lines(connection, [number])
    step = last_step_of_face(connection, number)
    owner = None if face.person is None else require_person(connection, face.person)
    turning = turning_point(about, runner_up, thresholds)
    verdict = _refused(connection, number, about) or verdict_of(
        face, about, runner_up, turning, thresholds["margin"], bound=bool(corrections)
    )
    if owner is None:
        verdict = verdict_of_unassigned(connection, detector, face, verdict)
    return Explanation(
        face=number,
        photo=line.paths[0] if line.paths else "",
        quality=line.quality,
        person="" if owner is None else short(owner.id),
        name="" if owner is None else called(owner),
        assigned_by=face.assigned_by,
        assigned_at=face.assigned_at,
        step=None if step is None else find_step(connection, step),
        about=about,
        runner_up=runner_up,
        thresholds=thresholds,
        corrections=corrections,
        turning_point=turning,
        verdict=verdict,
        head="" if head is None else head.name,
    )


def _similarities_to_people(
    connection: Connection, face: FaceRow, detector: DetectorRow, given: UUID | None, head: Head | None
) -> tuple[PersonSimilarity | None, PersonSimilarity | None]:
    """Return how similar a face is to the person in question, and to the most similar other one."""
    if face.embedding is None:
        return None, None
    similarity = _similarities(connection, face, face.embedding, detector, given, head)
    # Of several equally similar ones, the first by number.
    order = sorted(similarity, key=lambda each: (-similarity[each], each))
    first = given or face.person or next(iter(order), None)
    if first is None or first not in similarity:
        return None, None
    second = next((each for each in order if each != first), None)
    about, other = (
        None
        if each is None or similarity[each] <= -1
        else _similarity_to(connection, face, each, similarity[each], detector.model_id, head)
        for each in (first, second)
    )
    return about, other


def _similarities(
    connection: Connection,
    face: FaceRow,
    embedding: Float32,
    detector: DetectorRow,
    given: UUID | None,
    head: Head | None,
) -> dict[UUID, float]:
    """Return the face's similarity to people, as if it were unassigned; -2 for people without other faces.

    These are its person, the person in question, and at least the two most similar others.
    """
    named = [each for each in (given, face.person) if each is not None]
    similarity = (
        similar_people(connection, detector, face.id, named, most=_RIVALS)
        if head is None
        else _similar_by_head(face, embedding, stored_prototypes(connection, detector), head)
    )
    if face.person in similarity:
        mean = mean_without(connection, face.id, face.person)
        if mean is not None:
            unit = _seen((mean / np.linalg.norm(mean))[None], head)[0]
            own = float(unit @ _seen(embedding[None], head)[0])
            similarity[face.person] = max(similarity[face.person], own)
    return similarity


def _similar_by_head(
    face: FaceRow, embedding: Float32, prototypes: Prototypes, head: Head
) -> dict[UUID, float]:
    """Return the same as `similar_people`, by the projections of a head."""
    found = head.project(prototypes.embedding) @ head.project(embedding[None])[0]
    of_owner = np.array([each == face.person for each in prototypes.persons], bool)[prototypes.person]
    counted = ~of_owner | (prototypes.is_exemplar & (prototypes.face_id != face.id))
    similarity = np.full(len(prototypes.persons), -2, np.float32)
    np.maximum.at(similarity, prototypes.person[counted], found[counted])
    return dict(zip(prototypes.persons, similarity.tolist(), strict=True))


def _seen(vectors: Float32, head: Head | None) -> Float32:
    """Return vectors in the space in which they are compared."""
    return vectors if head is None else head.project(vectors)


def _similarity_to(
    connection: Connection,
    face: FaceRow,
    person: UUID,
    similarity: float,
    model: int,
    head: Head | None,
) -> PersonSimilarity:
    state = require_person(connection, person)
    nearest = (
        nearest_of_person(connection, face.id, state.id, _NEAREST)
        if head is None or face.embedding is None
        else _nearest_by_head(connection, face, face.embedding, state.id, model, head)
    )
    return PersonSimilarity(short(state.id), called(state), round(similarity, 4), nearest)


def _nearest_by_head(
    connection: Connection, face: FaceRow, embedding: Float32, person: UUID, model: int, head: Head
) -> list[tuple[int, float]]:
    """Return the same as `nearest_of_person`, by a head's projections of a model's vectors."""
    other_faces = [each for each in faces_of_person(connection, person) if each != face.id]
    found: list[tuple[int, float]] = []
    for each in vectors_of_faces(connection, other_faces):
        if each.model == model:
            similarity = head.project(each.embedding) @ head.project(embedding[None])[0]
            found += zip(each.face_id.tolist(), np.round(similarity.astype(float), 4).tolist(), strict=True)
    return sorted(found, key=lambda each: (-each[1], each[0]))[:_NEAREST]


def _thresholds(connection: Connection, detector: DetectorRow, head: Head | None) -> dict[str, float]:
    """Return the thresholds of the last `assign` for this detector; else approximate ones."""
    measured = calibration_of(connection, detector, head)
    if head is not None:
        made = head.thresholds
        assign, margin, review = made.assign, made.margin, made.review
    elif (ran := last_summary(connection, "assign", "faces")) and not ran["head"]:
        assign, margin, review = ran["threshold"], ran["margin"], ran["review_threshold"]
    else:
        usual = known_recognizer(detector.settings.recognizer)
        prototypes = count_prototypes(connection, detector)
        assign = measured_threshold(replace(measured, pairs=usual.pairs), prototypes)
        margin, review = DEFAULT_MARGIN, usual_review(assign, usual)
    thresholds = {"assign": assign, "margin": margin, "review": review}
    thresholds |= {"link": measured.link, "typical": measured.typical}
    return {name: round(value, 4) for name, value in thresholds.items()}


def _corrections_in_words(connection: Connection, face: int) -> list[str]:
    """Describe corrections of a face, and of faces confirmed as the same person."""
    tied = set(tied_faces(connection, [face]))
    corrections = load_corrections(connection)
    describe = describing(connection)
    return [
        *(describe(each) for each in corrections.faces if each.face in tied),
        *(describe(each) for each in corrections.face_pairs if each.first in tied or each.second in tied),
    ]


def _refused(connection: Connection, face: int, about: PersonSimilarity | None) -> str:
    """Return a sentence if the face was denied for the person in question; else an empty text."""
    tied = set(tied_faces(connection, [face]))
    of_it = (each for each in load_corrections(connection).faces if each.face in tied and not each.is_person)
    if about is None or about.person not in {short(each.person) for each in of_it}:
        return ""
    return f"You denied that this is {about.name}; no command assigns it to them."
