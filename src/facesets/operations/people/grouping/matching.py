"""Decide whether new faces join a known person, become a new person, or stay unassigned."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from facesets.clustering import Calibration, Constraints, calibrate, is_approximate, same_image_pairs
from facesets.clustering.constraints import among
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.methods import METHODS, GroupingTask
from facesets.clustering.people.incremental import UNASSIGNED, FaceDecisions, join_people
from facesets.interfaces import Progress
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.plurals import counted, people
from facesets.records import Float32, Int64
from facesets.store.postgres.people.assigned_faces import AssignedFaces
from facesets.work import Work


class StoppedEarly(Exception):
    """The run was stopped before anything was decided."""


@dataclass(frozen=True, slots=True)
class JoinDecision:
    """The decision about unassigned faces, and faces that a method may take from unnamed people.

    Attributes
    ----------
    free : int64 array of shape (n,)
        Rows of the faces to decide about, ascending: all unassigned ones, and perhaps others.
    joined : FaceDecisions
        The decision about these faces, in the same order.
    reasons : tuple of str
        A sentence for each automatic choice of the method.
    used : mapping
        Measured values that decided, by name.
    """

    free: Int64
    joined: FaceDecisions
    reasons: tuple[str, ...] = ()
    used: Mapping[str, Any] = field(default_factory=dict)

    def freed(self, faces: AssignedFaces) -> AssignedFaces:
        """Return the library as if none of the free faces had a person."""
        person = faces.person.copy()
        person[self.free] = UNASSIGNED
        return replace(faces, person=person)


def decide(
    faces: AssignedFaces,
    options: ClusterLibraryOptions,
    work: Work,
    *,
    recognizer: str | None = None,
    engine: Engine = IN_PROCESS,
) -> JoinDecision:
    """Compare unassigned faces with known people, and group the rest.

    `recognizer` is the file name of the network that made the embeddings; `engine` groups the rest. Raises
    `StoppedEarly`.
    """
    threshold, measured = _threshold(faces, options, work.progress, recognizer)
    new = np.flatnonzero(faces.person < 0)
    rows = faces.embedding if len(new) == len(faces.person) else faces.embedding[new]
    references, persons = _references(faces, options)
    compared = f"{counted(len(rows), 'face')} with {people(len(faces.persons))}"
    reported = Steps(work, f"Comparing {compared}")
    apart = _apart(faces, options)
    task = _task(
        rows, options, calibration=measured, recognizer=recognizer, on_progress=reported, engine=engine
    )
    reasons: list[str] = []
    used: dict[str, Any] = {}

    def group(some: Int64) -> Int64:
        reported.begin(f"Grouping {counted(len(some), 'face')}")
        embeddings = rows if len(some) == len(rows) else rows[some]
        own = None if apart is None else among(apart, new[some], len(faces.person))
        found = METHODS[options.method].group(replace(task, embeddings=embeddings, apart=own))
        reasons.extend(found.reasons)
        used.update(found.checked)
        return found.labels

    # Other methods compare with means, which are few and not of unit length.
    near = options.method == "components" and is_approximate(len(rows), others=len(references))
    joined = join_people(
        rows,
        references,
        persons,
        group,
        min_cosine_similarity=threshold,
        min_size=options.min_size,
        approximate=near,
        on_progress=reported,
    )
    reported.end()
    if apart is not None:
        joined = _keep_one_face_by_means(faces, new, joined, apart, references)
    if measured is not None:
        used["measured_cosine_similarity"] = threshold
    if joined.checked is not None:
        used |= {"likenesses": joined.checked.due, "likenesses_found": joined.checked.found}
        reasons.insert(0, joined.checked.sentence())
    return JoinDecision(new, joined, tuple(reasons), used)


def _references(faces: AssignedFaces, options: ClusterLibraryOptions) -> tuple[Float32, Int64]:
    """Return the embeddings that new faces are compared with, and their people."""
    if options.method == "components":
        known = faces.person >= 0
        return faces.embedding[known], faces.person[known]
    return means_of_people(faces.embedding, faces.person, len(faces.persons))


def _task(rows: Float32, options: ClusterLibraryOptions, **surroundings: Any) -> GroupingTask:  # noqa: ANN401
    """Return the task to group some faces by these options."""
    return GroupingTask(
        embeddings=rows,
        apart_in_images=True,
        threshold=options.own_threshold(),
        min_cluster_size=options.min_cluster_size,
        min_samples=options.min_samples,
        **surroundings,
    )


def _threshold(
    faces: AssignedFaces, options: ClusterLibraryOptions, progress: Progress, recognizer: str | None
) -> tuple[float, Calibration | None]:
    """Return the similarity from which a face joins a person, and the measurement if one was needed."""
    if options.threshold is not None:
        return options.threshold, None
    progress.begin("Calibrating similarities")
    images = None if options.same_image_ok else faces.image
    measured = calibrate(faces.embedding, image_index=images, recognizer=recognizer)
    progress.end()
    return measured.link, measured


class Steps:
    """Reports counts of steps as the progress of consecutive stages."""

    def __init__(self, work: Work, what: str) -> None:
        self._work = work
        self._stage_name = what
        self._done: int | None = None

    def begin(self, what: str) -> None:
        """Name the next stage, which opens with its first step."""
        self.end()
        self._stage_name = what

    def end(self) -> None:
        """Close the open stage."""
        if self._done is not None:
            self._work.progress.end()
        self._done = None

    def __call__(self, done: int, steps: int) -> None:
        """Receive the number of steps done so far."""
        if self._work.stop.requested:
            self.end()
            raise StoppedEarly
        if self._done is None or done < self._done:
            self.end()
            self._work.progress.begin(self._stage_name, steps)
            self._done = 0
        self._work.progress.advance(done - self._done)
        self._done = done


def _apart(faces: AssignedFaces, options: ClusterLibraryOptions) -> Constraints | None:
    """Return pairs of faces in one photo, if the method keeps them apart."""
    if options.same_image_ok or options.method == "components":
        return None
    return same_image_pairs(faces.embedding, faces.image)


def _keep_one_face_by_means(
    faces: AssignedFaces, new: Int64, joined: FaceDecisions, apart: Constraints, means: Float32
) -> FaceDecisions:
    """Keep only one of two faces in a photo with a person: the one that was there, else the more similar."""
    person = faces.person.copy()
    person[new] = joined.person
    pairs = np.asarray(apart.cannot_link, np.int64).reshape(-1, 2)
    clashing = pairs[(person[pairs[:, 0]] == person[pairs[:, 1]]) & (person[pairs[:, 0]] >= 0)]
    weight = np.full(len(person), np.inf)
    for row in np.unique(clashing):
        if faces.person[row] < 0:
            weight[row] = float(faces.embedding[row] @ means[person[row]])
    for first, second in clashing:
        if person[first] == person[second] >= 0:
            weaker = first if weight[first] < weight[second] else second
            if faces.person[weaker] < 0:
                person[weaker] = UNASSIGNED
    return replace(joined, person=person[new])


def means_of_people(embedding: Float32, person: Int64, people_count: int) -> tuple[Float32, Int64]:
    """Return the mean embedding of each person."""
    sums = np.zeros((people_count, embedding.shape[1]), np.float64)
    mine = np.flatnonzero(person >= 0)
    for start in range(0, len(mine), 4096):
        some = mine[start : start + 4096]
        np.add.at(sums, person[some], embedding[some])
    counts = np.bincount(person[mine], minlength=people_count)
    means: Float32 = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    return means, np.arange(people_count)
