"""`cluster` on the library: faces without a person join known people or become new ones."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from uuid import UUID, uuid4

import numpy as np

from facesets.clustering.incremental import Joined
from facesets.errors import Command, Field, WrongUsage
from facesets.interfaces import Progress
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.people.matching import Decision, StoppedEarly, decide
from facesets.operations.people.obeying import obey
from facesets.operations.people.regrouping import Seen, decide_again
from facesets.operations.people.restoring import Restored, restore_people
from facesets.records import Int64
from facesets.stop import Stop
from facesets.store.postgres import people
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import PeopledFaces
from facesets.store.postgres.runs import last_options, recorded_run
from facesets.store.postgres.statements import Statements, load_statements
from facesets.store.postgres.steps import changing, making_step
from facesets.store.postgres.unassigned import keep_unassigned, left_unassigned


@dataclass(frozen=True, slots=True)
class ReviewCase:
    """A face that is similar to several people; it is unassigned until a person decides."""

    face: int
    persons: list[str]
    cosine_similarity: list[float]


@dataclass(frozen=True, slots=True)
class ClusterLibrarySummary:
    """What `cluster` did.

    Attributes
    ----------
    faces : int
        In the library, for this model.
    kept : int
        Had a person before.
    joined : int
        Joined a known person.
    new_persons, new_faces : int
        People that are new, and their faces.
    restored : int
        Faces that a human had given to somebody and that had been taken away since, by a reset say.
    regrouped, dissolved : int
        Faces that unnamed people lost to others or to nobody, and unnamed people who have none left: new
        faces showed that two people were one, or one was two.
    alone : int
        Stay without a person until something new resembles them.
    review : list of ReviewCase
        Tie people together; left alone.
    reasons : list of str
        A sentence for each choice that the method made by itself.
    seconds : mapping of stage to seconds
    """

    faces: int = 0
    kept: int = 0
    joined: int = 0
    new_persons: int = 0
    new_faces: int = 0
    regrouped: int = 0
    dissolved: int = 0
    restored: int = 0
    alone: int = 0
    review: list[ReviewCase] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    dry_run: bool = False
    stopped: bool = False
    seconds: dict[str, float] = field(default_factory=dict)


def cluster_library(
    library: Library,
    options: ClusterLibraryOptions,
    *,
    progress: Progress,
    stop: Stop,
    by: str = "",
    new_id: Callable[[], UUID] = uuid4,
) -> ClusterLibrarySummary:
    """Group all faces that have no person yet; what a human vouches for is kept.

    By `auto` unnamed people near new faces are grouped again with these. By other methods all existing
    assignments are kept. What humans said is obeyed, and whom they named comes back if a reset removed them.

    Parameters
    ----------
    by : str
        Who runs it, for the log of changes.

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
        began = time.monotonic()
        restored = Restored(0, 0)
        if not options.dry_run:
            restored = database.run(lambda connection: _restore(connection, by, run.id))
        progress.begin("Reading faces")
        said = database.run(load_statements)
        faces, seen = database.run(lambda connection: _load(connection, library))
        progress.end()
        read = time.monotonic()
        try:
            decision = _decide(library, faces, seen, said, options, progress, stop)
        except StoppedEarly:
            run.stopped = True
            return ClusterLibrarySummary(len(faces.face_id), dry_run=options.dry_run, stopped=True)
        decided = time.monotonic()
        joined = obey(decision.freed(faces), decision.joined, said).joined
        if not options.dry_run:
            progress.begin("Storing people")
            joined = changing(
                database, lambda connection: _store(connection, faces, decision, new_id, by, run.id)
            )
            progress.end()
        decision = replace(decision, joined=joined)
        stored = time.monotonic()
        seconds = {"reading": read - began, "clustering": decided - read, "storing": stored - decided}
        summary = replace(_summary(faces, decision, options, seconds), restored=restored.faces)
        run.summary = {k: v for k, v in asdict(summary).items() if k != "review"}
        run.summary |= {"review": len(summary.review), **decision.used}
    return summary


def _load(connection: Connection, library: Library) -> tuple[PeopledFaces, Seen]:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    detector = library.detector(connection)
    if detector is None:
        raise WrongUsage(
            f"There are no faces in {library.label} yet. Run {Command('index', Field('target', 'PHOTOS'))}."
        )
    seen = Seen(
        people.fixed_persons(connection),
        left_unassigned(connection, detector.id),
        last_options(connection, "cluster"),
    )
    return people.load_peopled_faces(connection, detector), seen


def _restore(connection: Connection, by: str, run_id: int) -> Restored:
    with making_step(connection, "cluster", by, "people brought back", run_id=run_id) as step:
        return restore_people(step)


def _decide(
    library: Library,
    faces: PeopledFaces,
    seen: Seen,
    said: Statements,
    options: ClusterLibraryOptions,
    progress: Progress,
    stop: Stop,
) -> Decision:
    recogniser = None if library.settings is None else library.settings.recogniser
    if options.method == "auto":
        return decide_again(faces, seen, said, options, progress, stop, recogniser=recogniser)
    return decide(faces, options, progress, stop, recogniser=recogniser)


def _store(
    connection: Connection,
    faces: PeopledFaces,
    decision: Decision,
    new_id: Callable[[], UUID],
    by: str,
    run_id: int,
) -> Joined:
    """Write everything in one transaction, as one step. Returns the decision as it was written.

    What humans said and whom they named or merged while it was made is obeyed too.
    """
    freed = decision.freed(faces)
    known = replace(freed, persons=people.merged_into(connection, faces.persons))
    obeyed = obey(known, decision.joined, load_statements(connection))
    joined = obeyed.joined
    rows = np.flatnonzero(freed.person < 0)
    before = faces.person[rows]
    after = np.where(joined.group >= 0, joined.group + len(faces.persons), joined.person)
    fixed = people.fixed_persons(connection)
    vouched = np.array([*(person in fixed for person in faces.persons), False])[before]
    changed = (before != after) & ~vouched
    new = [new_id() for _ in range(int(joined.group.max(initial=-1)) + 1)]
    left = [faces.persons[person] for person in np.unique(before[changed & (before >= 0)])]
    with making_step(connection, "cluster", by, "cluster", run_id=run_id) as step:
        step.touch_rows("persons", [str(each) for each in (*new, *left)])
        step.touch_faces(faces.face_id[rows[changed]].tolist())
        people.create_persons(connection, new)
        said_so = obeyed.constrained
        for how, some in (("auto", changed & ~said_so), ("constrained", changed & said_so)):
            ids = faces.face_id[rows[some]]
            people.assign(connection, ids, before[some], after[some], [*known.persons, *new], how)
        people.drop_empty_persons(connection, [*new, *left])
    _keep_open(connection, faces, decision, joined, rows, after)
    return joined


def _keep_open(
    connection: Connection, faces: PeopledFaces, decision: Decision, joined: Joined, rows: Int64, after: Int64
) -> None:
    """Note which faces were left alone, and which a human must decide about."""
    alone = faces.face_id[rows[after < 0]]
    keep_unassigned(connection, faces.detector_id, alone)
    review, looked_at = joined.review, decision.looked_at
    people.replace_candidates(
        connection,
        faces.detector_id,
        faces.face_id[rows[review.face]],
        review.person,
        review.similarity,
        faces.persons,
        looked_at=None if looked_at is None else faces.face_id[looked_at].tolist(),
    )


def _summary(
    faces: PeopledFaces,
    decision: Decision,
    options: ClusterLibraryOptions,
    seconds: dict[str, float],
) -> ClusterLibrarySummary:
    joined = decision.joined
    rows = np.flatnonzero(decision.freed(faces).person < 0)
    before = faces.person[rows]
    after = np.where(joined.group >= 0, joined.group + len(faces.persons), joined.person)
    was_free, moved = before < 0, (before >= 0) & (after != before)
    now = faces.person.copy()
    now[rows] = after
    review = _cases(faces, joined, rows)
    return ClusterLibrarySummary(
        faces=len(faces.face_id),
        kept=int((faces.person >= 0).sum()) - int(moved.sum()),
        joined=int((was_free & (joined.person >= 0)).sum()),
        new_persons=int(joined.group.max(initial=-1)) + 1,
        new_faces=int((joined.group >= 0).sum()),
        regrouped=int(moved.sum()),
        dissolved=len(np.setdiff1d(before[moved], now)),
        alone=int((after < 0).sum()) - len(review),
        review=review,
        reasons=list(decision.reasons),
        dry_run=options.dry_run,
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
    )


def _cases(faces: PeopledFaces, joined: Joined, rows: Int64) -> list[ReviewCase]:
    face_ids = faces.face_id[rows]
    cases: dict[int, list[tuple[str, float]]] = {}
    review = joined.review
    for face, person, similarity in zip(
        review.face.tolist(), review.person.tolist(), review.similarity.tolist(), strict=True
    ):
        cases.setdefault(int(face_ids[face]), []).append((str(faces.persons[person]), round(similarity, 4)))
    return [
        ReviewCase(face, [person for person, _ in pairs], [similarity for _, similarity in pairs])
        for face, pairs in sorted(cases.items())
    ]
