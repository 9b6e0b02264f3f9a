"""`cluster` on the library: faces without a person join known people or become new ones."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from uuid import UUID, uuid4

import numpy as np

from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.incremental import Joined
from facesets.library_records import RecordedRun
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.people.corrections.restoring import Restored, restore_people
from facesets.operations.people.grouping.cluster_result import cluster_result, result_of
from facesets.operations.people.grouping.cluster_storing import Writing, store_decision
from facesets.operations.people.grouping.hierarchy import Placed
from facesets.operations.people.grouping.library_faces import (
    LoadedFaces,
    by_hierarchy,
    load_faces,
    without_smudges,
)
from facesets.operations.people.grouping.matching import Decision, StoppedEarly, decide
from facesets.operations.people.grouping.obeying import obey
from facesets.operations.people.grouping.regrouping import decide_again
from facesets.operations.people.review.looking import look_at_everything
from facesets.operations.people.review.open_questions import waiting
from facesets.plurals import counted
from facesets.result import Result, plain
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.face_details import keep_norm_limits
from facesets.store.postgres.people.statements import Statements, load_statements
from facesets.store.postgres.people.steps import changing, making_step
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
    """Group all faces that have no person yet; what a human vouches for is kept.

    By `auto` unnamed people near new faces are grouped again with these. By other methods all existing
    assignments are kept. What humans said is obeyed, and whom they named comes back if a reset removed them.

    Parameters
    ----------
    engine : Engine
        Who compares the faces.

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
        return _cluster(library, options, run, Writing(work.by, run.id, new_id), work, engine)


def _cluster(
    library: Library,
    options: ClusterLibraryOptions,
    run: RecordedRun,
    writing: Writing,
    work: Work,
    engine: Engine,
) -> Result:
    database = library.database
    began = time.monotonic()
    restored = Restored(0, 0)
    if not options.dry_run:
        restored = database.run(_restore, writing)
    work.progress.begin("Reading faces")
    said = database.run(load_statements)
    database.run(lambda connection: keep_norm_limits(connection, library.require_detector(connection)))
    loaded = database.run(load_faces, library, options)
    work.progress.end()
    read = time.monotonic()
    try:
        decision, placed = _decide(library, loaded, said, options, work, writing.new_id, engine)
    except StoppedEarly:
        run.stopped = True
        return cluster_result(faces=len(loaded.faces.face_id), dry_run=options.dry_run, stopped=True)
    decided = time.monotonic()
    seconds = {"reading": read - began, "clustering": decided - read}
    joined = obey(decision.freed(loaded.faces), decision.joined, said).joined
    questions, step = 0, None
    if not options.dry_run:
        work.progress.begin("Storing people")
        written = changing(database, store_decision, loaded, decision, placed, options, writing)
        joined, step = written.joined, written.step
        work.progress.end()
        stored = time.monotonic()
        seconds["storing"] = stored - decided
        if not work.stop.requested:
            work.progress.begin("Looking for questions")
            questions = _look(library, loaded, decision, joined)
            work.progress.end()
        seconds["looking for questions"] = time.monotonic() - stored
    summary = Result(
        result_of(loaded.faces, replace(decision, joined=joined), options, seconds),
        restored=restored.faces,
        left_out=loaded.left_out,
        questions=questions,
        step=step,
    )
    run.summary = {k: v for k, v in plain(summary).items() if k != "review"}
    run.summary |= {"review": len(summary.review), **decision.used}
    return summary


def _restore(connection: Connection, writing: Writing) -> Restored:
    with making_step(connection, "cluster", writing.by, "people brought back", run_id=writing.run_id) as step:
        return restore_people(step)


def _decide(
    library: Library,
    loaded: LoadedFaces,
    said: Statements,
    options: ClusterLibraryOptions,
    work: Work,
    new_id: Callable[[], UUID],
    engine: Engine,
) -> tuple[Decision, Placed | None]:
    """What becomes of the faces by the method that was chosen; and where each is in a kept hierarchy."""
    recogniser = None if library.settings is None else library.settings.recogniser
    if options.method == "hdbscan":
        return by_hierarchy(loaded, said, options, work, new_id, recogniser)
    if options.method != "auto":
        return decide(loaded.faces, options, work, recogniser=recogniser, engine=engine), None
    faces, dissolved = without_smudges(loaded)
    decision = decide_again(
        faces, loaded.seen, said, options, work, shows=loaded.shows, recogniser=recogniser, engine=engine
    )
    if not dissolved:
        return decision, None
    who = counted(dissolved, "unnamed person was", "unnamed people were")
    sentence = f"{who} dissolved: their faces show too little to tell who they are."
    return replace(decision, reasons=(sentence, *decision.reasons)), None


def _look(library: Library, loaded: LoadedFaces, decision: Decision, joined: Joined) -> int:
    """Look for questions that the run leaves; returns how many wait."""
    faces, review = loaded.faces, joined.review
    free = np.flatnonzero(decision.freed(faces).person < 0)
    undecided = replace(review, face=faces.face_id[free[review.face]])
    detector = library.database.run(library.detector)
    if detector is not None:
        look_at_everything(library.database, detector, faces, undecided, faces.persons)
    return waiting(library.database).questions
