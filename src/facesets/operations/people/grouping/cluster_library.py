"""`cluster` on the library: unassigned faces join known people or become new ones."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.people.incremental import FaceDecisions
from facesets.library_records import RecordedRun
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.people.corrections.history import restore_people
from facesets.operations.people.corrections.lookup import step_number
from facesets.operations.people.grouping.clusters import plan_of_groups, store_plan
from facesets.operations.people.grouping.enforcing import obey
from facesets.operations.people.grouping.hierarchy import Placed, keep
from facesets.operations.people.grouping.library_faces import (
    LoadedFaces,
    by_hierarchy,
    load_faces,
    without_smudges,
)
from facesets.operations.people.grouping.matching import JoinDecision, StoppedEarly, decide
from facesets.operations.people.grouping.regrouping import decide_again
from facesets.operations.people.review.finding import find_all_suggestions
from facesets.operations.people.review.open_questions import waiting
from facesets.plurals import counted
from facesets.records import Int64
from facesets.result import Result, plain
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import assigned_faces as people
from facesets.store.postgres.people import persons
from facesets.store.postgres.people.assigned_faces import AssignedFaces
from facesets.store.postgres.people.corrections import Corrections, load_corrections
from facesets.store.postgres.people.face_details import store_norm_limits
from facesets.store.postgres.people.steps import changing, making_step
from facesets.store.postgres.people.unassigned_faces import note_unassigned
from facesets.store.postgres.runs import recorded_run
from facesets.work import Work


def cluster_library(
    library: Library,
    options: ClusterLibraryOptions,
    *,
    work: Work,
    new_id: Callable[[], UUID] = uuid4,
    engine: Engine = IN_PROCESS,
) -> Result:
    """Group all unassigned faces; confirmed assignments stay.

    With `auto`, unnamed people near new faces are grouped again with these. With other methods, all existing
    assignments stay. Corrections are followed, and named people are restored if a reset removed them.

    Parameters
    ----------
    engine : Engine
        The engine that compares the faces.

    Raises
    ------
    AlreadyRunning
        Another `cluster` is working on the library.
    WrongUsage
        Nothing was indexed yet.
    """
    database = library.database
    with (
        RunLock(database, "cluster"),
        recorded_run(database, "cluster", asdict(options), dry_run=options.dry_run) as run,
    ):
        return _cluster(library, options, run, work, new_id, engine)


def _cluster(
    library: Library,
    options: ClusterLibraryOptions,
    run: RecordedRun,
    work: Work,
    new_id: Callable[[], UUID],
    engine: Engine,
) -> Result:
    database = library.database
    began = time.monotonic()
    restored = 0 if options.dry_run else database.run(restore_people, "cluster", work.by, run.id)
    work.progress.begin("Reading faces")
    corrections = database.run(load_corrections)
    database.run(lambda connection: store_norm_limits(connection, library.require_detector(connection)))
    loaded = database.run(load_faces, library, options)
    work.progress.end()
    read = time.monotonic()
    try:
        decision, placed = _decide(library, loaded, corrections, options, work, new_id, engine)
    except StoppedEarly:
        run.stopped = True
        return cluster_result(faces=len(loaded.faces.face_id), dry_run=options.dry_run, stopped=True)
    decided = time.monotonic()
    seconds = {"reading": read - began, "clustering": decided - read}
    joined, _ = obey(decision.freed(loaded.faces), decision.joined, corrections)
    questions, step = 0, None
    if not options.dry_run:
        work.progress.begin("Storing people")
        joined, step = changing(
            database, store_decision, loaded, decision, placed, options, work.by, run.id, new_id
        )
        work.progress.end()
        stored = time.monotonic()
        seconds["storing"] = stored - decided
        if not work.stop.requested:
            work.progress.begin("Finding suggestions")
            questions = _look(library, loaded, decision, joined)
            work.progress.end()
        seconds["looking for questions"] = time.monotonic() - stored
    summary = Result(
        result_of(loaded.faces, replace(decision, joined=joined), options, seconds),
        restored=restored,
        left_out=loaded.left_out,
        questions=questions,
        step=step,
    )
    run.summary = {k: v for k, v in plain(summary).items() if k != "review"}
    run.summary |= {"review": len(summary.review), **decision.used}
    return summary


def _decide(
    library: Library,
    loaded: LoadedFaces,
    corrections: Corrections,
    options: ClusterLibraryOptions,
    work: Work,
    new_id: Callable[[], UUID],
    engine: Engine,
) -> tuple[JoinDecision, Placed | None]:
    """Decide about the faces by the chosen method; return their places in a saved hierarchy, too."""
    recognizer = None if library.settings is None else library.settings.recognizer
    if options.method == "hdbscan":
        return by_hierarchy(loaded, corrections, options, work, new_id, recognizer)
    if options.method != "auto":
        return decide(loaded.faces, options, work, recognizer=recognizer, engine=engine), None
    faces, dissolved = without_smudges(loaded)
    decision = decide_again(
        faces,
        loaded.seen,
        corrections,
        options,
        work,
        clarity=loaded.clarity,
        recognizer=recognizer,
        engine=engine,
    )
    if not dissolved:
        return decision, None
    who = counted(dissolved, "unnamed person was", "unnamed people were")
    sentence = f"{who} dissolved: their faces are too low quality to group."
    return replace(decision, reasons=(sentence, *decision.reasons)), None


def _look(library: Library, loaded: LoadedFaces, decision: JoinDecision, joined: FaceDecisions) -> int:
    """Search for suggestions after the run; return how many are open."""
    faces, review = loaded.faces, joined.review
    undecided = replace(review, face=faces.face_id[decision.free[review.face]])
    detector = library.database.run(library.detector)
    if detector is not None:
        find_all_suggestions(library.database, detector, faces, undecided, faces.persons)
    return waiting(library.database).questions


def cluster_result(**known: Any) -> Result:  # noqa: ANN401 - whatever was counted
    """Return a result of `cluster` with only these figures."""
    nothing = Result(
        faces=0,
        kept=0,  # faces that had a person before
        joined=0,  # faces that joined a known person
        new_persons=0,
        new_faces=0,
        regrouped=0,  # faces that unnamed people lost because of new faces
        dissolved=0,  # unnamed people without a face left
        restored=0,  # faces returned to the people that users had assigned before a reset
        alone=0,
        people=0,
        left_out=0,  # faces excluded by quality or time
        review=[],  # faces similar to several people, left unassigned
        questions=0,
        step=None,
        reasons=[],  # a sentence for each choice that the method made by itself
        dry_run=False,
        stopped=False,
        seconds={},
    )
    return Result(nothing, **known)


def result_of(
    faces: AssignedFaces,
    decision: JoinDecision,
    options: ClusterLibraryOptions,
    seconds: dict[str, float],
) -> Result:
    """Return the result of a decision as it was stored."""
    joined, rows = decision.joined, decision.free
    before, after = faces.person[rows], joined.owners(len(faces.persons))
    was_free, moved = before < 0, (before >= 0) & (after != before)
    now = faces.person.copy()
    now[rows] = after
    review = _cases(faces, joined, rows)
    return cluster_result(
        faces=len(faces.face_id),
        kept=int((faces.person >= 0).sum()) - int(moved.sum()),
        joined=int((was_free & (joined.person >= 0)).sum()),
        new_persons=int(joined.group.max(initial=-1)) + 1,
        new_faces=int((joined.group >= 0).sum()),
        regrouped=int(moved.sum()),
        dissolved=len(np.setdiff1d(before[moved], now)),
        alone=int((after < 0).sum()) - len(review),
        people=len(np.unique(now[now >= 0])),
        review=review,
        reasons=list(decision.reasons),
        dry_run=options.dry_run,
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
    )


def _cases(faces: AssignedFaces, joined: FaceDecisions, rows: Int64) -> list[Result]:
    face_ids = faces.face_id[rows]
    cases: dict[int, list[tuple[str, float]]] = {}
    review = joined.review
    for face, person, similarity in zip(
        review.face.tolist(), review.person.tolist(), review.similarity.tolist(), strict=True
    ):
        cases.setdefault(int(face_ids[face]), []).append((str(faces.persons[person]), round(similarity, 4)))
    return [
        Result(
            face=face,
            persons=[person for person, _ in pairs],
            cosine_similarity=[similarity for _, similarity in pairs],
        )
        for face, pairs in sorted(cases.items())
    ]


def store_decision(
    connection: Connection,
    loaded: LoadedFaces,
    decision: JoinDecision,
    placed: Placed | None,
    options: ClusterLibraryOptions,
    by: str,
    run_id: int,
    new_id: Callable[[], UUID],
) -> tuple[FaceDecisions, int | None]:
    """Store a decision; return it as stored, and the change, or None if nothing changed.

    Corrections, names and merges that users made meanwhile are followed, too.
    """
    faces, rows = loaded.faces, decision.free
    freed = decision.freed(faces)
    known = replace(freed, persons=persons.merged_into(connection, faces.persons))
    joined, constrained = obey(known, decision.joined, load_corrections(connection))
    before, after = faces.person[rows], joined.owners(len(faces.persons))
    fixed = persons.fixed_persons(connection)
    vouched = np.array([*(person in fixed for person in faces.persons), False])[before]
    changed = (before != after) & ~vouched
    new = [new_id() for _ in range(int(joined.group.max(initial=-1)) + 1)]
    left = [faces.persons[person] for person in np.unique(before[changed & (before >= 0)])]
    with making_step(connection, "cluster", by, "cluster", run_id=run_id) as step:
        persons.create_persons(connection, new)
        for how, some in (("auto", changed & ~constrained), ("constrained", changed & constrained)):
            ids = faces.face_id[rows[some]]
            people.assign(step, ids, before[some], after[some], [*known.persons, *new], how)
        persons.drop_empty_persons(connection, [*new, *left])
        if placed is None:
            leaving = (before >= 0) & (after < 0)
            plan = plan_of_groups(freed, loaded.clusters, joined, new_id, leaving)
        else:
            plan = keep(step, loaded.model_id, faces, placed, loaded.hierarchy, options, run_id)
        store_plan(step, loaded.model_id, plan)
    note_unassigned(step, faces.detector_id, faces.face_id)
    return joined, step_number(connection, step)
