"""`cluster --dual`: faces go to known people, and the others into clusters that are nobody yet."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from facesets.clustering import Constraints, same_image_pairs, singletons_as_noise
from facesets.clustering.methods import METHODS, Grouping, GroupingTask
from facesets.clustering.recognisers import Recogniser, recogniser_named
from facesets.clustering.vectors import Float32
from facesets.interfaces import Progress
from facesets.operations.options.assign import AssignOptions
from facesets.operations.options.dual import DualOptions
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.options.threshold import Method
from facesets.operations.people.assigning import assign
from facesets.operations.people.clusters import ClusterPlan, matched_ids, store_plan
from facesets.operations.people.heads import Head, active_head
from facesets.operations.people.library_faces import LoadedFaces, load_faces
from facesets.operations.people.matching import Steps, StoppedEarly
from facesets.operations.people.obeying import constraints_of
from facesets.operations.people.summary import kept_step
from facesets.plurals import counted
from facesets.records import Int64
from facesets.stop import Stop
from facesets.store.postgres.assignable import hidden_people
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.clusters import FaceClusters, fresh_centers
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.prototypes import fresh_prototypes
from facesets.store.postgres.runs import recorded_run
from facesets.store.postgres.statements import load_statements
from facesets.store.postgres.steps import changing, making_step
from facesets.store.postgres.unassigned import note_unassigned
from facesets.store.postgres.unknown_clusters import (
    PREFIX,
    ClusterQuestion,
    name_after_people,
    new_numbers,
    rejected_for_clusters,
    replace_questions,
)

STRICTER = 0.1
"""By so much the threshold of known people is above that of `assign`, for nobody looks at each face."""


@dataclass(frozen=True, slots=True)
class KnownPhase:
    """Faces compared with known people: how many, how many were given away, and to how many people."""

    faces: int
    assigned: int
    share: float
    people: int
    threshold: float
    seconds: float


@dataclass(frozen=True, slots=True)
class UnknownPhase:
    """The others: how many, in how many clusters, how many and which share in none.

    Attributes
    ----------
    new : int
        Clusters that were not there before.
    questions : int
        Clusters of which is to be asked whether they are somebody.
    largest : str
        The id of the cluster of most faces; empty without any.
    """

    faces: int
    clusters: int
    new: int
    noise: int
    share_noise: float
    questions: int
    seconds: float
    largest: str = ""


@dataclass(frozen=True, slots=True)
class DualSummary:
    """What `cluster --dual` did.

    Attributes
    ----------
    known, unknown : KnownPhase, UnknownPhase
        The latter None where it was not reached: in a dry run, for who is left is not known then.
    steps : list of int
        The numbers that take it back, the last one first.
    reasons : list of str
        A sentence for each choice that the method made by itself.
    """

    known: KnownPhase
    unknown: UnknownPhase | None
    steps: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    dry_run: bool = False
    stopped: bool = False


def cluster_dual(
    library: Library,
    options: ClusterLibraryOptions,
    dual: DualOptions,
    *,
    progress: Progress,
    stop: Stop,
    by: str = "",
) -> DualSummary:
    """Give faces to the people to one of whose prototypes they are similar, and group the others.

    Clusters of the others become nobody; each that holds most of an earlier one keeps its id. A second run
    with nothing new changes nothing.

    Raises
    ------
    AlreadyRunning
        Another `cluster` or `assign` is working on the library.
    WrongUsage
        Nothing was indexed yet.
    """
    database = library.database
    asked = asdict(options) | asdict(dual) | {"method": "dual"}
    with (
        RunLock(database, "cluster"),
        recorded_run(database, "cluster", asked, dry_run=options.dry_run) as run,
    ):
        began = time.monotonic()
        models = library.settings
        recogniser = recogniser_named(None if models is None else models.recogniser)
        head = database.run(lambda connection: _head(connection, library))
        given = assign(
            library,
            AssignOptions(
                threshold=_threshold(dual, recogniser, head),
                same_image_ok=options.same_image_ok,
                dry_run=options.dry_run,
            ),
            progress=progress,
            stop=stop,
            by=by,
        )
        known = KnownPhase(
            given.faces,
            given.assigned,
            round(given.assigned / max(given.faces, 1), 4),
            given.assigned_people,
            given.threshold,
            round(time.monotonic() - began, 3),
        )
        summary = DualSummary(
            known, None, [] if given.step is None else [given.step], dry_run=options.dry_run, stopped=True
        )
        if given.stopped or options.dry_run:
            run.stopped = given.stopped
            return replace(summary, stopped=given.stopped)
        began = time.monotonic()
        progress.begin("Reading faces")
        loaded = database.run(lambda connection: load_faces(connection, library, _any_method(options)))
        said = database.run(load_statements)
        progress.end()
        others = _Others(loaded, constraints_of(said, loaded.faces.face_id), options, dual, head)
        try:
            found = others.group(progress, stop, None if models is None else models.recogniser)
        except StoppedEarly:
            run.stopped = True
            return summary
        progress.begin("Storing clusters")
        done = changing(
            database,
            lambda connection: others.store(
                connection, library, found.labels, given.step, recogniser, by, run.id
            ),
        )
        progress.end()
        left, noise = len(found.labels), int((found.labels < 0).sum())
        unknown = UnknownPhase(
            left,
            int(found.labels.max(initial=-1)) + 1,
            done.new,
            noise,
            round(noise / max(left, 1), 4),
            done.questions,
            round(time.monotonic() - began, 3),
            done.largest,
        )
        steps = summary.steps if done.step is None else [done.step, *summary.steps]
        summary = replace(summary, unknown=unknown, steps=steps, reasons=list(found.reasons), stopped=False)
        run.summary = asdict(summary)
    return summary


def _head(connection: Connection, library: Library) -> Head | None:
    detector = library.detector(connection)
    return None if detector is None else active_head(connection, detector.model_id)


def _threshold(dual: DualOptions, recogniser: Recogniser, head: Head | None) -> float:
    usual = round(recogniser.assign + STRICTER, 4) if head is None else head.thresholds.person
    return usual if dual.person_threshold is None else dual.person_threshold


def _eps(method: Method, head: Head) -> float:
    """Up to which cosine distance faces belong together among what a head projects.

    Where pairs decide, as strict as for giving faces to people: there they are compared with means.
    """
    made = head.thresholds
    return made.max_cosine_distance if method == "agglomerative" else 1 - made.person


def _any_method(options: ClusterLibraryOptions) -> ClusterLibraryOptions:
    """The same, without a hierarchy to be read."""
    return replace(options, full=True)


@dataclass(frozen=True, slots=True)
class _Done:
    """What was stored: new clusters, questions, the step if anything changed, the largest cluster."""

    new: int
    questions: int
    step: int | None
    largest: str


@dataclass(frozen=True, slots=True)
class _Others:
    """The faces that are nobody's yet, and what is known of them."""

    loaded: LoadedFaces
    said: Constraints
    options: ClusterLibraryOptions
    dual: DualOptions
    head: Head | None

    @property
    def rows(self) -> Int64:
        """Their rows among the faces."""
        return np.flatnonzero(self.loaded.faces.person < 0)

    def group(self, progress: Progress, stop: Stop, recogniser: str | None) -> Grouping:
        """Group them by the chosen method; clusters that are too small are noise."""
        rows, dual = self.rows, self.dual
        faces, method = self.loaded.faces, METHODS[dual.unknown_method]
        embedding = faces.embedding[rows]
        eps = dual.unknown_eps
        if self.head is not None:
            embedding, recogniser = self.head.project(embedding), None
            eps = _eps(dual.unknown_method, self.head) if eps is None else eps
        if eps is None:
            eps = recogniser_named(recogniser).neighbour_cosine_distance
        reported = Steps(progress, stop, f"Grouping {counted(len(rows), 'face')}")
        task = GroupingTask(
            embeddings=embedding,
            apart=self._constraints(rows),
            recogniser=recogniser,
            threshold=eps if method.threshold == "max_cosine_distance" else 1.0 - eps,
            min_cluster_size=dual.unknown_min_size,
            min_samples=self.options.min_samples,
            on_progress=reported,
        )
        found = method.group(task)
        reported.end()
        return replace(found, labels=singletons_as_noise(found.labels, min_size=dual.unknown_min_size))

    def _constraints(self, rows: Int64) -> Constraints:
        """What was said of pairs of them, and that two faces of one photo are two people."""
        faces = self.loaded.faces
        place = np.full(len(faces.person), -1, np.int64)
        place[rows] = np.arange(len(rows))
        inside = Constraints(
            *(_among(place, pairs) for pairs in (self.said.must_link, self.said.cannot_link))
        )
        if self.options.same_image_ok:
            return inside
        return inside.plus(same_image_pairs(faces.embedding[rows], faces.image[rows]))

    def store(
        self,
        connection: Connection,
        library: Library,
        labels: Int64,
        given_by: int | None,
        recogniser: Recogniser,
        by: str,
        run_id: int,
    ) -> _Done:
        """Put the faces into their clusters, as one step, and keep what is to be asked."""
        loaded, rows = self.loaded, self.rows
        before = _unknown_only(loaded.clusters, rows)
        made: list[str] = []

        def named(count: int) -> list[str]:
            made.extend(new_numbers(connection, count))
            return made

        ids = matched_ids(labels, before.number, before.ids, named)
        with making_step(connection, "cluster", by, "clusters that are nobody yet", run_id=run_id) as step:
            name_after_people(step, loaded.model_id, loaded.faces.detector_id, given_by)
            store_plan(step, loaded.model_id, ClusterPlan(loaded.faces.face_id[rows], labels, ids))
        note_unassigned(connection, loaded.faces.detector_id, loaded.faces.face_id)
        asked = _questions(connection, library, ids, recogniser)
        questions = replace_questions(connection, loaded.model_id, asked)
        largest = ids[int(np.bincount(labels[labels >= 0]).argmax())] if ids else ""
        return _Done(len(made), questions, kept_step(connection, step), largest)


def _among(place: Int64, pairs: Int64) -> Int64:
    """Those pairs of which both are among some, by their places there."""
    inside = place[pairs]
    return inside[(inside >= 0).all(axis=1)]


def _unknown_only(clusters: FaceClusters, rows: Int64) -> FaceClusters:
    """The clusters of these faces that are nobody yet; those of other runs are left aside."""
    unknown = np.array([each.startswith(PREFIX) for each in clusters.ids] + [False])
    number = clusters.number[rows]
    return FaceClusters(np.where(unknown[number], number, -1), clusters.ids)


def _questions(
    connection: Connection, library: Library, ids: Sequence[str], recogniser: Recogniser
) -> list[ClusterQuestion]:
    """For each of these clusters the person it is nearest to, of those it may be."""
    detector = library.detector(connection)
    if detector is None or not ids:
        return []
    centers = fresh_centers(connection, detector, ids)
    known = fresh_prototypes(connection, detector)
    if not len(known.person) or not len(centers.ids):
        return []
    refused, hidden = rejected_for_clusters(connection), hidden_people(connection)
    place = {person: row for row, person in enumerate(known.persons)}
    similarity = _nearest_by_person(centers.centroid, known.embedding, known.person, len(known.persons))
    similarity[:, [place[person] for person in hidden if person in place]] = -np.inf
    for row, cluster in enumerate(centers.ids):
        out = [place[person] for other, person in refused if other == cluster and person in place]
        similarity[row, out] = -np.inf
    best = similarity.argmax(axis=1)
    return [
        ClusterQuestion(
            cluster,
            known.persons[best[row]],
            float(similarity[row, best[row]]),
            int(centers.faces[row]),
            _likely(float(similarity[row, best[row]]), recogniser),
        )
        for row, cluster in enumerate(centers.ids)
        if np.isfinite(similarity[row, best[row]])
    ]


def _nearest_by_person(rows: Float32, prototypes: Float32, person: Int64, people: int) -> Float32:
    """The highest similarity of each row to a prototype of each person; `person` ascends."""
    first = np.searchsorted(person, np.arange(people))
    nearest: Float32 = np.maximum.reduceat(rows @ prototypes.T, first, axis=1)
    return nearest


def _likely(similarity: float, recogniser: Recogniser) -> float:
    """How likely, roughly, a cluster is the person it is nearest to; 0 where strangers are as near."""
    strangers = recogniser.middle + 3 * recogniser.spread
    share = (similarity - strangers) / max(recogniser.assign - strangers, 1e-6)
    return round(min(max(share, 0.0), 1.0), 4)
