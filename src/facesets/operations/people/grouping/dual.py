"""`cluster --dual`: faces go to known people, and the others into clusters that are nobody yet."""

import time
from dataclasses import asdict, dataclass, field, replace

from facesets.clustering.recognisers import Recogniser, recogniser_named
from facesets.interfaces import Progress
from facesets.operations.options.assign import AssignOptions
from facesets.operations.options.dual import DualOptions
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.operations.people.assigning.assigning import AssignSummary, assign
from facesets.operations.people.grouping.dual_unknown import Others
from facesets.operations.people.grouping.library_faces import load_faces
from facesets.operations.people.grouping.matching import StoppedEarly
from facesets.operations.people.grouping.obeying import constraints_of
from facesets.operations.people.training.heads import Head, active_head
from facesets.stop import Stop
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.statements import load_statements
from facesets.store.postgres.people.steps import changing
from facesets.store.postgres.runs import recorded_run

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
        head = database.run(lambda connection: _head(connection, library))
        began = time.monotonic()
        given = _give(library, options, dual, head, progress, stop, by)
        steps = [] if given.step is None else [given.step]
        summary = DualSummary(_known(given, began), None, steps, dry_run=options.dry_run, stopped=True)
        if given.stopped or options.dry_run:
            run.stopped = given.stopped
            return replace(summary, stopped=given.stopped)
        try:
            unknown, reasons, step = _group_others(
                library, options, dual, head, given.step, progress, stop, by, run.id
            )
        except StoppedEarly:
            run.stopped = True
            return summary
        steps = steps if step is None else [step, *steps]
        summary = replace(summary, unknown=unknown, steps=steps, reasons=reasons, stopped=False)
        run.summary = asdict(summary)
    return summary


def _give(
    library: Library,
    options: ClusterLibraryOptions,
    dual: DualOptions,
    head: Head | None,
    progress: Progress,
    stop: Stop,
    by: str,
) -> AssignSummary:
    """Give faces to known people."""
    asked = AssignOptions(
        threshold=_threshold(dual, _recogniser(library), head),
        max_faces=dual.dual_max_faces,
        same_image_ok=options.same_image_ok,
        dry_run=options.dry_run,
    )
    return assign(library, asked, progress=progress, stop=stop, by=by)


def _known(given: AssignSummary, began: float) -> KnownPhase:
    return KnownPhase(
        given.faces,
        given.assigned,
        round(given.assigned / max(given.faces, 1), 4),
        given.assigned_people,
        given.threshold,
        round(time.monotonic() - began, 3),
    )


def _group_others(
    library: Library,
    options: ClusterLibraryOptions,
    dual: DualOptions,
    head: Head | None,
    given_by: int | None,
    progress: Progress,
    stop: Stop,
    by: str,
    run_id: int,
) -> tuple[UnknownPhase, list[str], int | None]:
    """Group the others; what came of it, the method's reasons, and the step. Raises `StoppedEarly`."""
    database, models = library.database, library.settings
    began = time.monotonic()
    progress.begin("Reading faces")
    loaded = database.run(lambda connection: load_faces(connection, library, _any_method(options)))
    said = database.run(load_statements)
    progress.end()
    others = Others(loaded, constraints_of(said, loaded.faces.face_id), options, dual, head)
    found = others.group(progress, stop, None if models is None else models.recogniser)
    progress.begin("Storing clusters")
    done = changing(
        database,
        lambda connection: others.store(
            connection, library, found.labels, given_by, _recogniser(library), by, run_id
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
    return unknown, list(found.reasons), done.step


def _recogniser(library: Library) -> Recogniser:
    models = library.settings
    return recogniser_named(None if models is None else models.recogniser)


def _head(connection: Connection, library: Library) -> Head | None:
    detector = library.detector(connection)
    return None if detector is None else active_head(connection, detector.model_id)


def _threshold(dual: DualOptions, recogniser: Recogniser, head: Head | None) -> float:
    usual = round(recogniser.assign + STRICTER, 4) if head is None else head.thresholds.person
    return usual if dual.person_threshold is None else dual.person_threshold


def _any_method(options: ClusterLibraryOptions) -> ClusterLibraryOptions:
    """The same, without a hierarchy to be read."""
    return replace(options, full=True)
