"""`assign`: match unassigned faces to known people."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime

import numpy as np

from facesets.clustering import calibrate
from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.people.assigning import (
    KnownPeople,
    NearPairs,
    Thresholds,
    by_products,
    measured_threshold,
    similar_people,
    thresholds,
    usual_review,
)
from facesets.clustering.people.incremental import PersonMatches
from facesets.operations.options.people import DEFAULT_MARGIN, AssignOptions
from facesets.operations.people.assigning.assignment import Assignment
from facesets.operations.people.corrections.history import restore_people
from facesets.operations.people.grouping.matching import StoppedEarly
from facesets.operations.people.training.heads import Head, active_head
from facesets.plurals import counted, people
from facesets.records import Float32, Int64
from facesets.result import Result, plain
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.face_details import (
    library_norm_limits,
    low_quality_people,
    sample_vectors,
    store_norm_limits,
)
from facesets.store.postgres.people.prototypes import Prototypes, fresh_prototypes
from facesets.store.postgres.people.steps import changing
from facesets.store.postgres.people.unassigned_faces import (
    UnassignedFilter,
    count_unassigned,
    unassigned_vectors,
)
from facesets.store.postgres.runs import recorded_run
from facesets.work import Work

_SAMPLE = 16_000
"""Faces to calibrate similarities on."""

_MANY_PAIRS = 200_000_000
"""Pairs of faces and people above which comparing by whole numbers pays off."""


def assign(
    library: Library, options: AssignOptions, *, work: Work, found_since: datetime | None = None
) -> Result:
    """Match unassigned faces to known people, as one change.

    Corrections are followed. Faces that are not similar enough, or similar to several people, become
    suggestions.

    Parameters
    ----------
    found_since : datetime, optional
        Only faces found since, by the server's clock; overrides the options.

    Raises
    ------
    AlreadyRunning
        Another `assign` is working on the library.
    WrongUsage
        Nothing was indexed yet.
    """
    database = library.database
    days = {"since": options.since, "taken_since": options.taken_since}
    parameters = asdict(options) | {name: day and day.isoformat() for name, day in days.items()}
    selected = UnassignedFilter(found_since or options.since, options.taken_since, options.max_faces)
    with (
        RunLock(database, "assign"),
        recorded_run(database, "assign", parameters, dry_run=options.dry_run) as run,
    ):
        summary = _assign(library, options, selected, work, run.id)
        run.stopped, run.summary = summary.stopped, plain(summary)
    return summary


def _assign(
    library: Library, options: AssignOptions, selected: UnassignedFilter, work: Work, run_id: int
) -> Result:
    database = library.database
    summary, assignment = compare_with_people(library, options, selected, work, run_id)
    if assignment is None:
        return summary
    decided = time.monotonic()
    work.progress.begin("Assigning faces")
    done = (
        database.run(assignment.decide).counts()
        if options.dry_run
        else changing(database, lambda connection: assignment.store(connection, work.by, run_id))
    )
    work.progress.end()
    seconds = summary.seconds | {"storing": round(time.monotonic() - decided, 3)}
    return Result(summary, **done, seconds=seconds)


def compare_with_people(
    library: Library, options: AssignOptions, selected: UnassignedFilter, work: Work, run_id: int
) -> tuple[Result, Assignment | None]:
    """Compare unassigned faces with all people, after restoring people that a reset removed.

    Returns the result of `assign` so far, and the assignment to apply; None if stopped.
    Raises `WrongUsage` if nothing was indexed yet.
    """
    database = library.database
    began = time.monotonic()
    detector = database.run(library.require_detector)
    restored = 0 if options.dry_run else database.run(restore_people, "assign", work.by, run_id)
    work.progress.begin("Reading people")
    database.run(store_norm_limits, detector)
    known = database.run(lambda connection: fresh_prototypes(connection, detector))
    known = known.without(database.run(low_quality_people, detector))
    if (shown := database.run(library_norm_limits, detector)) is not None:
        selected = replace(selected, min_norm=shown.joining)
    head = database.run(lambda connection: active_head(connection, detector.model_id))
    if head is not None:
        known = replace(known, embedding=head.project(known.embedding))
    some_to_give = bool(known.persons) and database.run(count_unassigned, detector, selected) > 0
    limits, reason = _limits(
        library, detector, options, len(known.person), head, may_measure=head is None and some_to_give
    )
    work.progress.end()
    read = time.monotonic()
    summary = Result(
        # Unassigned faces that were compared.
        faces=0,
        people=len(known.persons),
        assigned=0,
        assigned_people=0,
        # Faces that became suggestions.
        review=0,
        restored=restored,  # to people whom a user had assigned before a reset
        threshold=round(limits.assign, 4),
        review_threshold=round(limits.review, 4),
        margin=limits.margin,
        head="" if head is None else head.name,
        reason=reason,
        dry_run=options.dry_run,
        stopped=False,
        step=None,
        seconds={},
    )
    try:
        faces, matches = _compare(library, detector, selected, known, head, limits, work)
    except StoppedEarly:
        return Result(summary, stopped=True), None
    seconds = {"reading": round(read - began, 3), "comparing": round(time.monotonic() - read, 3)}
    return Result(summary, faces=len(faces), seconds=seconds), Assignment(
        detector, known.persons, faces, matches, limits, options.same_image_ok, selected.min_norm
    )


def _limits(
    library: Library,
    detector: DetectorRow,
    options: AssignOptions,
    prototypes: int,
    head: Head | None,
    *,
    may_measure: bool,
) -> tuple[Thresholds, str]:
    """Return the similarities that decide, and how they were measured, if they were."""
    name = detector.settings.recognizer
    usual = known_recognizer(None if head is not None else name)
    margin = DEFAULT_MARGIN
    if head is not None:
        made = head.thresholds
        usual = replace(usual, assign=made.assign, review=made.review, middle=made.middle, spread=made.spread)
        margin = made.margin
    threshold, reason = usual.assign, ""
    if isinstance(options.threshold, float | int):
        threshold = options.threshold
    elif may_measure:
        image, _, vectors = library.database.run(
            lambda connection: sample_vectors(connection, detector, _SAMPLE)
        )
        measured = calibrate(vectors, image_index=None if options.same_image_ok else image, recognizer=name)
        threshold, reason = measured_threshold(measured, prototypes), measured.source
    review = options.review_threshold
    if review is None:
        review = usual_review(threshold, usual)
    margin = margin if options.margin is None else options.margin
    return thresholds(threshold, margin, review, usual), reason


def _search(pairs: int) -> Callable[[Float32], NearPairs]:
    """Choose how to find the people near faces, for this number of pairs."""
    if pairs < _MANY_PAIRS:
        return by_products
    from facesets.inference.near_vectors import NearVectors

    return NearVectors


def _compare(
    library: Library,
    detector: DetectorRow,
    selected: UnassignedFilter,
    known: Prototypes,
    head: Head | None,
    limits: Thresholds,
    work: Work,
) -> tuple[Int64, PersonMatches]:
    """Return the numbers of the faces, and their similar people. Raises `StoppedEarly`."""

    def compare(connection: Connection) -> tuple[Int64, PersonMatches]:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        total = count_unassigned(connection, detector, selected)
        numbers: list[Int64] = []
        matches: list[PersonMatches] = []

        def blocks() -> Iterator[tuple[Int64, Float32]]:
            for faces, vectors in unassigned_vectors(connection, detector, selected):
                if work.stop.requested:
                    raise StoppedEarly
                numbers.append(faces)
                yield faces, vectors if head is None else head.project(vectors)

        work.progress.begin(f"Comparing {counted(total, 'face')} with {people(len(known.persons))}", total)
        search = _search(total * len(known.persons))
        prototypes = KnownPeople(known.embedding, known.person, known.is_exemplar, search=search)
        try:
            for count, found in similar_people(blocks(), prototypes, limits):
                matches.append(found)
                work.progress.advance(count)
        finally:
            work.progress.end()
        return np.concatenate([np.empty(0, np.int64), *numbers]), PersonMatches.joined(matches)

    return library.database.run(compare)
