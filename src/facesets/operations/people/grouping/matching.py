"""Which new faces of a library join a known person, which become somebody new, and which stay alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from facesets.clustering import Calibration, Constraints, calibrate, is_approximate, same_image_pairs
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.methods import METHODS, GroupingTask
from facesets.clustering.people.incremental import Joined, join_people
from facesets.interfaces import Progress
from facesets.operations.options.grouping import Method
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.plurals import counted, people
from facesets.records import Float32, Int64
from facesets.store.postgres.people.peopled_faces import PeopledFaces
from facesets.work import Work

_NOBODY = -1


class StoppedEarly(Exception):
    """The run was asked to end before anything was decided."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the faces without a person, and of others that a method may take from unnamed people.

    Attributes
    ----------
    joined : Joined
        Its rows are the free faces, in their order.
    used : mapping
        Measured values that decided, by name.
    reasons : tuple of str
        A sentence for each choice that the method made by itself.
    free : int64 array of shape (m,), optional
        Rows of the faces that the decision is about, of which some may have a person. None for all without.
    looked_at : int64 array of shape (l,), optional
        Rows of the faces that were compared. None for all.
    """

    joined: Joined
    used: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    free: Int64 | None = None
    looked_at: Int64 | None = None

    def freed(self, faces: PeopledFaces) -> PeopledFaces:
        """The library as if none of the free faces had a person."""
        if self.free is None:
            return faces
        person = faces.person.copy()
        person[self.free] = _NOBODY
        return replace(faces, person=person)


def decide(
    faces: PeopledFaces,
    options: ClusterLibraryOptions,
    work: Work,
    *,
    recogniser: str | None = None,
    engine: Engine = IN_PROCESS,
) -> Decision:
    """Compare the faces without a person with known people, and group the rest.

    `recogniser` is the file name of the network that made the embeddings; `engine` groups the rest. Raises
    `StoppedEarly`.
    """
    threshold, measured = _threshold(faces, options, work.progress, recogniser)
    new = np.flatnonzero(faces.person < 0)
    rows = faces.embedding if len(new) == len(faces.person) else faces.embedding[new]
    if options.method == "components":
        known = faces.person >= 0
        references, persons = faces.embedding[known], faces.person[known]
    else:
        references, persons = means_of_people(faces.embedding, faces.person, len(faces.persons))
    compared = f"{counted(len(rows), 'face')} with {people(len(faces.persons))}"
    reported = Steps(work, f"Comparing {compared}")
    apart = _apart(faces, options)
    task = GroupingTask(
        embeddings=rows,
        apart=apart,
        apart_in_images=True,
        calibration=measured,
        threshold=options.own_threshold(),
        min_cluster_size=options.min_cluster_size,
        min_samples=options.min_samples,
        recogniser=recogniser,
        on_progress=reported,
        engine=engine,
    )
    grouping = _Grouping(task, new, options.method, reported)
    # The vectors of other methods are means, which are few and not of unit length.
    near = options.method == "components" and is_approximate(len(rows), others=len(references))
    joined = join_people(
        rows,
        references,
        persons,
        grouping,
        min_cosine_similarity=threshold,
        min_size=options.min_size,
        approximate=near,
        on_progress=reported,
    )
    reported.end()
    if apart is not None:
        joined = _one_face_a_photo(faces, new, joined, apart, references)
    return _decision(joined, grouping, None if measured is None else threshold)


def _decision(joined: Joined, grouping: "_Grouping", measured_threshold: float | None) -> Decision:
    """What was decided, with the measured values that decided and the reasons."""
    used: dict[str, Any] = dict(grouping.checked)
    reasons = grouping.reasons
    if measured_threshold is not None:
        used |= {"measured_cosine_similarity": measured_threshold}
    if joined.checked is not None:
        used |= {"likenesses": joined.checked.due, "likenesses_found": joined.checked.found}
        reasons = (joined.checked.sentence(), *reasons)
    return Decision(joined, used, reasons)


def _threshold(
    faces: PeopledFaces, options: ClusterLibraryOptions, progress: Progress, recogniser: str | None
) -> tuple[float, Calibration | None]:
    """The similarity from which a face joins a person, and what was measured among all faces if needed."""
    if options.threshold is not None and options.method != "auto":
        return options.threshold, None
    progress.begin("Measuring what similarities mean")
    images = None if options.same_image_ok else faces.image
    measured = calibrate(faces.embedding, image_index=images, recogniser=recogniser)
    progress.end()
    return (measured.link if options.threshold is None else options.threshold), measured


class Steps:
    """Passes counts of steps done on as the progress of one stage after another."""

    def __init__(self, work: Work, what: str) -> None:
        self._work = work
        self._what = what
        self._done: int | None = None

    def begin(self, what: str) -> None:
        """Name the next stage; it opens with its first step."""
        self.end()
        self._what = what

    def end(self) -> None:
        """Close the open stage."""
        if self._done is not None:
            self._work.progress.end()
        self._done = None

    def __call__(self, done: int, steps: int) -> None:
        """Hear of the steps done so far."""
        if self._work.stop.requested:
            self.end()
            raise StoppedEarly
        if self._done is None or done < self._done:
            self.end()
            self._work.progress.begin(self._what, steps)
            self._done = 0
        self._work.progress.advance(done - self._done)
        self._done = done


class _Grouping:
    """Groups some of the new faces among themselves, by the chosen method."""

    def __init__(self, task: GroupingTask, new: Int64, method: Method, reported: Steps) -> None:
        self._task = task
        self._new = new
        self._method = METHODS[method]
        self._reported = reported
        self.reasons: tuple[str, ...] = ()
        self.checked: Mapping[str, float] = {}

    def __call__(self, some: Int64) -> Int64:
        """Labels of these rows; negative for noise."""
        self._reported.begin(f"Grouping {counted(len(some), 'face')}")
        rows = self._task.embeddings if len(some) == len(self._new) else self._task.embeddings[some]
        found = self._method.group(replace(self._task, embeddings=rows, apart=self._apart_among(some)))
        self.reasons, self.checked = found.reasons, found.checked
        return found.labels

    def _apart_among(self, some: Int64) -> Constraints | None:
        """The pairs to keep apart among some of the new faces, by their places among those."""
        if self._task.apart is None:
            return None
        place = np.full(int(self._new.max(initial=-1)) + 1, _NOBODY, np.int64)
        place[self._new[some]] = np.arange(len(some))
        pairs = self._task.apart.cannot_link
        inside = (pairs < len(place)).all(axis=1)
        placed = place[pairs[inside]]
        return Constraints(cannot_link=placed[(placed >= 0).all(axis=1)])


def _apart(faces: PeopledFaces, options: ClusterLibraryOptions) -> Constraints | None:
    """Pairs of faces in one photo, where the method keeps them apart."""
    if options.same_image_ok or options.method == "components":
        return None
    return same_image_pairs(faces.embedding, faces.image)


def _one_face_a_photo(
    faces: PeopledFaces, new: Int64, joined: Joined, apart: Constraints, means: Float32
) -> Joined:
    """Let of two faces in one photo only one join a person: who has it already, else the more similar."""
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
                person[weaker] = _NOBODY
    return replace(joined, person=person[new])


def means_of_people(embedding: Float32, person: Int64, people_count: int) -> tuple[Float32, Int64]:
    """The mean vector of each person: its product with a face is their mean cosine similarity."""
    sums = np.zeros((people_count, embedding.shape[1]), np.float64)
    mine = np.flatnonzero(person >= 0)
    for start in range(0, len(mine), 4096):
        some = mine[start : start + 4096]
        np.add.at(sums, person[some], embedding[some])
    counts = np.bincount(person[mine], minlength=people_count)
    means: Float32 = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    return means, np.arange(people_count)
