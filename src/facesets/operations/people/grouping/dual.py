"""`cluster --dual`: faces assigned to known people, and the others grouped into unnamed clusters."""

import time
from dataclasses import asdict, dataclass, replace

from facesets.clustering.known_recognizers import KnownRecognizer, known_recognizer
from facesets.operations.options.people import AssignOptions, ClusterLibraryOptions, DualOptions
from facesets.operations.people.assigning.assigning import compare_with_people
from facesets.operations.people.assigning.assignment import Assignment
from facesets.operations.people.corrections.lookup import step_number
from facesets.operations.people.grouping.dual_unknown import Others
from facesets.operations.people.grouping.enforcing import constraints_of
from facesets.operations.people.grouping.library_faces import load_faces
from facesets.operations.people.grouping.matching import StoppedEarly
from facesets.operations.people.training.heads import Head, active_head
from facesets.plurals import counted
from facesets.records import Int64
from facesets.result import Result, plain
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.corrections import load_corrections
from facesets.store.postgres.people.steps import changing, making_step
from facesets.store.postgres.people.unassigned_faces import UnassignedFilter
from facesets.store.postgres.runs import recorded_run
from facesets.work import Work

STRICTER = 0.1
"""Added to the threshold of `assign` for known people, because no face is reviewed."""


@dataclass(frozen=True, slots=True)
class _Request:
    """The request of a run, and its author."""

    library: Library
    options: ClusterLibraryOptions
    dual: DualOptions
    work: Work
    run_id: int


def cluster_dual(
    library: Library, options: ClusterLibraryOptions, dual: DualOptions, *, work: Work
) -> Result:
    """Assign faces that are similar to a prototype of a known person, and group the others.

    Clusters of the others make no people; each that holds most of an earlier one keeps its id. A second run
    without new faces changes nothing. Both phases are one step.

    Raises
    ------
    AlreadyRunning
        Another `cluster` or `assign` is working on the library.
    WrongUsage
        Nothing was indexed yet.
    """
    database = library.database
    recorded = asdict(options) | asdict(dual) | {"method": "dual"}
    with (
        RunLock(database, "cluster"),
        RunLock(database, "assign"),
        recorded_run(database, "cluster", recorded, dry_run=options.dry_run) as run,
    ):
        summary = _run(_Request(library, options, dual, work, run.id))
        run.stopped, run.summary = summary.stopped, plain(summary)
    return summary


def _run(request: _Request) -> Result:
    database, dry_run, work = request.library.database, request.options.dry_run, request.work
    stopped = Result(known=None, unknown=None, step=None, reasons=[], dry_run=dry_run, stopped=True)
    began = time.monotonic()
    head = database.run(_head, request.library)
    found, assignment = _compare(request, head)
    if assignment is None:
        return stopped
    given = database.run(assignment.decide)
    known = _known(found, given.counts(), began)
    compared = time.monotonic()
    work.progress.begin("Reading faces")
    without_hierarchy = replace(request.options, full=True)
    loaded = database.run(load_faces, request.library, without_hierarchy)
    corrections = database.run(load_corrections)
    work.progress.end()
    others = Others(
        loaded,
        given.face,
        constraints_of(corrections, loaded.faces.face_id),
        request.options,
        request.dual,
        head,
    )
    models = request.library.settings
    try:
        grouping = others.group(work, None if models is None else models.recognizer)
    except StoppedEarly:
        return Result(stopped, known=known)
    step = None
    if dry_run:
        done = database.run(others.preview, assignment.detector, grouping.labels)
    else:
        work.progress.begin("Storing people and clusters")
        assigned, done, step = changing(database, _store, request, assignment, others, grouping.labels)
        known = _known(found, assigned, began, known.seconds)
        work.progress.end()
    unknown = _unknown(grouping.labels, done, round(time.monotonic() - compared, 3))
    return Result(
        known=known,
        unknown=unknown,
        step=step,
        reasons=list(grouping.reasons),
        dry_run=dry_run,
        stopped=False,
    )


def _compare(request: _Request, head: Head | None) -> tuple[Result, Assignment | None]:
    """Compare faces with known people."""
    comparing = AssignOptions(
        threshold=_threshold(request.dual, _recognizer(request.library), head),
        same_image_ok=request.options.same_image_ok,
        dry_run=request.options.dry_run,
    )
    selected = UnassignedFilter(max_faces=request.dual.dual_max_faces)
    return compare_with_people(request.library, comparing, selected, request.work, request.run_id)


def _store(
    connection: Connection, request: _Request, assignment: Assignment, others: Others, labels: Int64
) -> tuple[Result, Result, int | None]:
    """Assign faces to known people and put the others into clusters, as one step; None if nothing changed."""
    given = assignment.decide(connection)
    clusters = counted(int(labels.max(initial=-1)) + 1, "cluster")
    what = f"{counted(len(given.face), 'face')} assigned, the others in {clusters}"
    with making_step(connection, "cluster", request.work.by, what, run_id=request.run_id) as step:
        assigned = assignment.give(step, given)
        done = others.store(step, assignment.detector, labels)
    return assigned, done, step_number(connection, step)


def _known(found: Result, given: Result, began: float, seconds: float | None = None) -> Result:
    return Result(
        faces=found.faces,
        assigned=given.assigned,
        share=round(given.assigned / max(found.faces, 1), 4),
        people=given.assigned_people,
        threshold=found.threshold,
        seconds=round(time.monotonic() - began, 3) if seconds is None else seconds,
    )


def _unknown(labels: Int64, done: Result, seconds: float) -> Result:
    left, noise = len(labels), int((labels < 0).sum())
    return Result(
        faces=left,
        clusters=int(labels.max(initial=-1)) + 1,
        new=done.new,
        noise=noise,
        share_noise=round(noise / max(left, 1), 4),
        questions=done.questions,  # clusters that may be a known person
        seconds=seconds,
        largest=done.largest,  # id of the largest; empty if there is none, and in a dry run
    )


def _recognizer(library: Library) -> KnownRecognizer:
    models = library.settings
    return known_recognizer(None if models is None else models.recognizer)


def _head(connection: Connection, library: Library) -> Head | None:
    detector = library.detector(connection)
    return None if detector is None else active_head(connection, detector.model_id)


def _threshold(dual: DualOptions, recognizer: KnownRecognizer, head: Head | None) -> float:
    usual = round(recognizer.assign + STRICTER, 4) if head is None else head.thresholds.person
    return usual if dual.person_threshold is None else dual.person_threshold
