"""`maintain`: the maintenance tasks, singly or as `daily` and `weekly`; cluster health."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from facesets.clustering.known_recognizers import known_recognizer
from facesets.errors import Command, Field, Sentence
from facesets.operations.options.upkeep import MaintainOptions, Task
from facesets.operations.people.assigning.prototypes import centroids
from facesets.operations.people.corrections.history import restore_people
from facesets.operations.people.corrections.lookup import step_number
from facesets.operations.people.grouping.staleness import staleness
from facesets.operations.people.upkeep.associating import (
    associate_clusters,
    close_must_links,
    merge_similar_clusters,
    violations,
)
from facesets.plurals import counted, people
from facesets.result import Result, plain
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people import upkeep
from facesets.store.postgres.people.clusters import refresh_centers
from facesets.store.postgres.people.steps import Step, making_step, one_at_a_time
from facesets.store.postgres.people.upkeep import ClusterHealth
from facesets.store.postgres.runs import recorded_run
from facesets.work import Work

DAILY: tuple[Task, ...] = ("centroids", "empty", "statistics", "must-links", "violations")
WEEKLY: tuple[Task, ...] = (*DAILY, "medoids", "merge-similar", "unassigned", "associate")

_GIVING: frozenset[Task] = frozenset({"associate", "must-links"})
"""Tasks that assign faces."""

_SIMILAR_SHARE = 0.625
"""Share of the distance at which clusters are one person that `merge-similar` uses: 0.25 of 0.40."""


_TaskOutcome = tuple[str, Mapping[str, Any], list[str]]
"""The result of a task: a sentence, figures by name, and lines that the user should look at."""


class _DryRun(Exception):
    """Ends a transaction without storing anything."""

    def __init__(self, outcome: _TaskOutcome) -> None:
        super().__init__()
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class _TaskContext:
    """The context of tasks."""

    library: Library
    detector: DetectorRow
    options: MaintainOptions

    def would(self, done: str, planned: str) -> str:
        """Return the verb of a sentence: what was done, or what would be done."""
        return f"would {planned}" if self.options.dry_run else done


_Change = Callable[[Step, _TaskContext], _TaskOutcome]
_Look = Callable[[_TaskContext], _TaskOutcome]


def named_in(tasks: Sequence[Task]) -> list[Task]:
    """Return each requested task once and in order; `daily` and `weekly` stand for several."""
    every = [each for task in tasks for each in {"daily": DAILY, "weekly": WEEKLY}.get(task, (task,))]
    return list(dict.fromkeys(every))


def maintain(
    library: Library, tasks: Sequence[Task], options: MaintainOptions, *, work: Work
) -> list[Result]:
    """Run maintenance tasks in order; return what each did.

    Tasks that change people are one change each; the others report or refresh derived data. A stop takes
    effect between two tasks.

    Raises
    ------
    AlreadyRunning
        A `cluster` or another `maintain` is working on the library.
    WrongUsage
        Nothing was indexed yet.
    """
    every = named_in(tasks)
    database = library.database
    given = {"tasks": list(tasks), **asdict(options)}
    done: list[Result] = []
    with (
        RunLock(database, "cluster"),
        recorded_run(database, "maintain", given, dry_run=options.dry_run) as run,
    ):
        context = _TaskContext(library, database.run(library.require_detector), options)
        if not options.dry_run and not _GIVING.isdisjoint(every):
            # Restore faces that a reset unassigned before tasks can assign them to another person.
            database.run(restore_people, "maintain", work.by, run.id)
        for task in every:
            if work.stop.requested:
                run.stopped = True
                break
            work.progress.begin(f"Maintenance: {task}")
            done.append(_done(task, context, work.by, run.id))
            work.progress.end()
        run.summary = {each.task: dict(each.figures) for each in done}
    return done


def _done(task: Task, context: _TaskContext, by: str, run_id: int) -> Result:
    if task in _LOOKS:
        (did, figures, lines), step = _LOOKS[task](context), None
    else:
        (did, figures, lines), step = _change(task, context, by, run_id)
    return Result(task=task, did=did, figures=figures, lines=lines, step=step)


def _change(task: Task, context: _TaskContext, by: str, run_id: int) -> tuple[_TaskOutcome, int | None]:
    def work(connection: Connection) -> tuple[_TaskOutcome, int | None]:
        one_at_a_time(connection)
        with making_step(connection, "maintain", by, f"maintain {task}", run_id=run_id or None) as step:
            outcome = _CHANGES[task](step, context)
        if context.options.dry_run:
            raise _DryRun(outcome)
        return outcome, step_number(connection, step)

    try:
        return context.library.database.run(work)
    except _DryRun as dry:
        return dry.outcome, None


def _associate(step: Step, context: _TaskContext) -> _TaskOutcome:
    recognizer = known_recognizer(context.detector.settings.recognizer)
    given = context.options.threshold
    limit = recognizer.merge_max_cosine_distance if given is None else given
    found = associate_clusters(
        step, context.detector, max_cosine_distance=limit, same_image_ok=context.options.same_image_ok
    )
    did = (
        f"{counted(found.joined, 'cluster')} {context.would('assigned to people', 'be assigned to people')}, "
        f"{people(found.made)} {context.would('created', 'be created')}, "
        f"{found.merged} {context.would('merged', 'be merged')}."
    )
    lines: list[str] = []
    if found.named_alike:
        pairs = counted(found.named_alike, "pair")
        lines.append(Sentence(f"{pairs} of known people may be the same person: {Command('people review')}."))
    return did, {"max_cosine_distance": limit, **found}, lines


def _merge_similar(step: Step, context: _TaskContext) -> _TaskOutcome:
    recognizer = known_recognizer(context.detector.settings.recognizer)
    given = context.options.max_centroid_distance
    limit = round(_SIMILAR_SHARE * recognizer.merge_max_cosine_distance, 4) if given is None else given
    merged = merge_similar_clusters(
        step, context.detector, max_cosine_distance=limit, same_image_ok=context.options.same_image_ok
    )
    did = f"{counted(merged, 'cluster')} {context.would('merged', 'be merged')} into a similar one."
    return did, {"max_centroid_distance": limit, "merged": merged}, []


def _unassigned(step: Step, context: _TaskContext) -> _TaskOutcome:
    days = context.options.older_than
    faces = upkeep.left_over(step.connection, days)
    if faces:
        upkeep.make_singles(step, faces)
    left = f"{counted(len(faces), 'face')} unassigned for {counted(days, 'day')}"
    did = f"{left} {context.would('put', 'be put')} into clusters of their own."
    return did, {"older_than": days, "singles": len(faces)}, []


def _empty(step: Step, context: _TaskContext) -> _TaskOutcome:
    clusters = upkeep.empty_clusters(step.connection)
    persons = upkeep.empty_persons(step.connection)
    upkeep.delete_clusters(step, clusters)
    upkeep.delete_persons(step, persons)
    both = f"{counted(len(clusters), 'cluster')} and {people(len(persons))} without faces"
    did = f"{both} {context.would('removed', 'be removed')}."
    return did, {"clusters": len(clusters), "people": len(persons)}, []


def _must_links(step: Step, context: _TaskContext) -> _TaskOutcome:
    tied = close_must_links(step)
    did = (
        f"{counted(tied.faces, 'face')} {context.would('assigned', 'be assigned')} according to corrections, "
        f"{people(tied.merged)} {context.would('merged', 'be merged')}."
    )
    return did, tied, []


def _violations(context: _TaskContext) -> _TaskOutcome:
    found = context.library.database.run(violations)
    did = (
        f"{counted(len(found), 'correction')} not followed."
        if found
        else "No conflicts with your corrections."
    )
    return did, {"violations": len(found)}, found


def _statistics(context: _TaskContext) -> _TaskOutcome:
    if context.options.dry_run:
        return "Would update the statistics of all tables.", {}, []
    health = context.library.database.run_alone(upkeep.analyze)
    did = f"Updated statistics of {counted(health.rows, 'row')}."
    lines: list[str] = []
    if health.broken_indexes:
        count = counted(health.broken_indexes, "index", "indexes")
        lines.append(Sentence(f"{count} broken. For details, run {Command('check')}."))
    return did, plain(health), lines


def _centroids(context: _TaskContext) -> _TaskOutcome:
    database, detector = context.library.database, context.detector
    if context.options.dry_run:
        return "Would recompute all reference faces and centroids.", {}, []
    made = centroids(database)
    clusters = database.run(refresh_centers, detector)
    did = (
        f"Recomputed reference faces of {people(made.people)} ({made.changed} changed) and centroids of "
        f"{counted(clusters, 'cluster')}."
    )
    return did, {**plain(made), "clusters": clusters}, []


def _medoids(context: _TaskContext) -> _TaskOutcome:
    detector = context.detector
    if context.options.dry_run:
        return "Would recompute the medoids of changed clusters.", {}, []
    clusters = context.library.database.run(refresh_centers, detector)
    return f"Recomputed medoids of {counted(clusters, 'cluster')}.", {"clusters": clusters}, []


def _staleness(context: _TaskContext) -> _TaskOutcome:
    found = staleness(context.library)
    if not found.exists and not found.due:
        did = "There is no saved hierarchy."
    elif found.due:
        again = Command("cluster", Field("method", "hdbscan"), Field("full"))
        did = Sentence(f"The saved hierarchy is out of date: {again}.")
    else:
        did = "The saved hierarchy is up to date."
    return did, plain(found), list(found.reasons)


def _health(context: _TaskContext) -> _TaskOutcome:
    health = context.library.database.run(upkeep.library_health)
    verdict, lines = judged(health)
    return verdict, plain(health), lines


_CHANGES: Mapping[str, _Change] = {
    "associate": _associate,
    "merge-similar": _merge_similar,
    "unassigned": _unassigned,
    "empty": _empty,
    "must-links": _must_links,
}
_LOOKS: Mapping[str, _Look] = {
    "centroids": _centroids,
    "medoids": _medoids,
    "staleness": _staleness,
    "violations": _violations,
    "statistics": _statistics,
    "health": _health,
}


_MANY_UNASSIGNED = 0.5
"""Share of unassigned faces above which something is probably wrong."""


def judged(health: ClusterHealth) -> tuple[str, list[str]]:
    """Return a verdict on these counts, and a sentence for each recommended action."""
    if not health.total_faces:
        return "The library has no faces.", []
    advice: list[str] = []
    if health.empty_clusters:
        empty = counted(health.empty_clusters, "cluster is", "clusters are")
        advice.append(Sentence(f"{empty} empty. Run {Command('maintain', 'empty')}."))
    if health.clusters_without_centroids:
        advice.append(_without("centroid", health.clusters_without_centroids))
    if health.clusters_without_medoids:
        advice.append(_without("medoid", health.clusters_without_medoids))
    if not health.total_clusters:
        advice.append(Sentence(f"No face is assigned yet. Run {Command('cluster')}."))
    elif health.unassigned_pool_size > _MANY_UNASSIGNED * health.total_faces:
        share = health.unassigned_pool_size / health.total_faces
        way = f"{Command('cluster')}, then {Command('people review')}"
        advice.append(Sentence(f"{share:.0%} of the faces are unassigned. Run {way}."))
    return ("Action recommended." if advice else "No problems found."), advice


def _without(what: str, count: int) -> str:
    clusters = counted(count, "cluster has", "clusters have")
    return Sentence(f"{clusters} no {what}. Run {Command('maintain', f'{what}s')}.")
