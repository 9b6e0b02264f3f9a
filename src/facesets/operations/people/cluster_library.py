"""`cluster` on the library: faces without a person join known people or become new ones."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from uuid import UUID, uuid4

import numpy as np

from facesets.clustering.incremental import Joined
from facesets.interfaces import Progress
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.people.clusters import plan_of_groups, store_plan
from facesets.operations.people.hierarchy import Placed, keep
from facesets.operations.people.library_faces import LoadedFaces, by_hierarchy, load_faces
from facesets.operations.people.looking import look_at_everything
from facesets.operations.people.matching import Decision, StoppedEarly, decide
from facesets.operations.people.obeying import obey
from facesets.operations.people.questions import waiting
from facesets.operations.people.restoring import Restored, restore_people
from facesets.stop import Stop
from facesets.store.postgres import people
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.hierarchies import note_unassigned
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import PeopledFaces
from facesets.store.postgres.runs import recorded_run
from facesets.store.postgres.statements import load_statements
from facesets.store.postgres.steps import changing, making_step


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
    left_out : int
        Faces without a person that the run was not about, by their quality or their time.
    restored : int
        Faces that a human had given to somebody and that had been taken away since, by a reset say.
    alone : int
        Stay without a person and are tried again next time.
    review : list of ReviewCase
        Tie people together; left alone.
    questions : int
        Wait for `people review`.
    reasons : list of str
        A sentence for each choice that the method made by itself.
    seconds : mapping of stage to seconds
    """

    faces: int = 0
    kept: int = 0
    joined: int = 0
    new_persons: int = 0
    new_faces: int = 0
    restored: int = 0
    alone: int = 0
    left_out: int = 0
    review: list[ReviewCase] = field(default_factory=list)
    questions: int = 0
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
    """Group all faces that have no person yet; existing assignments are kept.

    What humans said is obeyed, and whom they named comes back if a reset removed them.

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
        loaded = database.run(lambda connection: load_faces(connection, library, options))
        faces = loaded.faces
        progress.end()
        read = time.monotonic()
        try:
            models = library.settings
            recogniser = None if models is None else models.recogniser
            placed = None
            if options.method == "hdbscan":
                decision, placed = by_hierarchy(loaded, said, options, progress, stop, new_id, recogniser)
            else:
                decision = decide(faces, options, progress, stop, recogniser=recogniser)
        except StoppedEarly:
            run.stopped = True
            return ClusterLibrarySummary(len(faces.face_id), dry_run=options.dry_run, stopped=True)
        joined = obey(faces, decision.joined, said).joined
        decided = time.monotonic()
        if not options.dry_run:
            progress.begin("Storing people")
            joined = changing(
                database,
                lambda connection: _store(
                    connection, loaded, decision.joined, placed, options, new_id, by, run.id
                ),
            )
            progress.end()
        decision = replace(decision, joined=joined)
        stored = time.monotonic()
        questions = 0
        if not options.dry_run and not stop.requested:
            progress.begin("Looking for questions")
            questions = _look(library, faces, joined)
            progress.end()
        looked = time.monotonic()
        seconds = {
            "reading": read - began,
            "clustering": decided - read,
            "storing": stored - decided,
            "looking for questions": looked - stored,
        }
        summary = replace(
            _summary(faces, decision, options, seconds),
            restored=restored.faces,
            left_out=loaded.left_out,
            questions=questions,
        )
        run.summary = {k: v for k, v in asdict(summary).items() if k != "review"}
        run.summary |= {"review": len(summary.review), **decision.used}
    return summary


def _restore(connection: Connection, by: str, run_id: int) -> Restored:
    with making_step(connection, "cluster", by, "people brought back", run_id=run_id) as step:
        return restore_people(step)


def _store(
    connection: Connection,
    loaded: LoadedFaces,
    decided: Joined,
    placed: Placed | None,
    options: ClusterLibraryOptions,
    new_id: Callable[[], UUID],
    by: str,
    run_id: int,
) -> Joined:
    """Write everything in one transaction, as one step. Returns the decision as it was written.

    What humans said and whom they merged while it was made is obeyed too.
    """
    faces = replace(loaded.faces, persons=people.merged_into(connection, loaded.faces.persons))
    obeyed = obey(faces, decided, load_statements(connection))
    joined = obeyed.joined
    face_ids = faces.face_id[faces.person < 0]
    new = [new_id() for _ in range(int(joined.group.max(initial=-1)) + 1)]
    known = len(faces.persons)
    person = np.where(joined.group >= 0, joined.group + known, joined.person)
    given = person >= 0
    with making_step(connection, "cluster", by, "cluster", run_id=run_id) as step:
        step.touch_rows("persons", [str(each) for each in new])
        step.touch_faces(face_ids[given].tolist())
        people.create_persons(connection, new)
        for how, some in (("auto", given & ~obeyed.constrained), ("constrained", given & obeyed.constrained)):
            if some.any():
                people.assign(connection, face_ids[some], person[some], [*faces.persons, *new], how)
        people.drop_empty_persons(connection, new)
        if placed is None:
            plan = plan_of_groups(faces, loaded.clusters, joined, new_id)
        else:
            plan = keep(step, loaded.model_id, faces, placed, loaded.hierarchy, options, run_id)
        store_plan(step, loaded.model_id, plan)
    note_unassigned(connection, faces.detector_id, faces.face_id)
    return joined


def _look(library: Library, faces: PeopledFaces, joined: Joined) -> int:
    """Look for questions that the run leaves; returns how many wait."""
    review = joined.review
    undecided = replace(review, face=faces.face_id[faces.person < 0][review.face])
    detector = library.database.run(library.detector)
    if detector is not None:
        look_at_everything(library.database, detector, faces, undecided, faces.persons)
    return waiting(library.database)


def _summary(
    faces: PeopledFaces,
    decision: Decision,
    options: ClusterLibraryOptions,
    seconds: dict[str, float],
) -> ClusterLibrarySummary:
    joined = decision.joined
    new_faces = int((joined.group >= 0).sum())
    joining = int((joined.person >= 0).sum())
    review = _cases(faces, joined)
    kept = int((faces.person >= 0).sum())
    return ClusterLibrarySummary(
        faces=len(faces.face_id),
        kept=kept,
        joined=joining,
        new_persons=int(joined.group.max(initial=-1)) + 1,
        new_faces=new_faces,
        alone=len(faces.face_id) - kept - joining - new_faces - len(review),
        review=review,
        reasons=list(decision.reasons),
        dry_run=options.dry_run,
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
    )


def _cases(faces: PeopledFaces, joined: Joined) -> list[ReviewCase]:
    face_ids = faces.face_id[faces.person < 0]
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
