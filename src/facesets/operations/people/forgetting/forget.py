"""`people forget`: a person erased for good, and the proof of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np

from facesets.errors import CannotWrite, Command, Field, Sentence
from facesets.files import printable
from facesets.imaging.renumbered_faces import NOT_RENUMBERED, Renumbered
from facesets.interfaces import Progress
from facesets.operations.people.corrections.who import called, find_person, require_person, short
from facesets.operations.people.forgetting.forget_files import (
    NEAR,
    CacheForgotten,
    Traces,
    forget_in_cache,
    forget_in_results,
    results_of,
)
from facesets.operations.people.forgetting.forget_proof import Proof, prove
from facesets.operations.people.forgetting.forget_words import sql_pattern, written_forms
from facesets.records import Bool
from facesets.results.forgetting import ResultForgotten
from facesets.store.kept_pictures import remove_pictures
from facesets.store.npz.cache import Cache
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import traces as searching
from facesets.store.postgres.people.face_places import FacePlace, faces_at, places_of
from facesets.store.postgres.people.face_vectors import FaceVectors, vectors_of_faces
from facesets.store.postgres.people.forgetting import (
    Erased,
    erase,
    erase_words,
    faces_of_persons,
    merged_persons,
    names_ever,
    renumbered_ids,
)
from facesets.store.postgres.people.person_edits import persons_of_faces
from facesets.store.postgres.people.scrubbing import remove_old_log, rewrite_tables
from facesets.store.postgres.people.statements import load_statements
from facesets.store.postgres.people.steps import changing


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to forget, and all by which they can be found.

    Attributes
    ----------
    loose : list of int
        Further faces, nobody's, within `NEAR` of theirs.
    refused : set of int
        Faces that were said not to be theirs: these stay.
    renumbered : Renumbered
        Ids of faces in results of the library that have others afterwards.
    """

    id: UUID
    name: str
    persons: list[UUID]
    names: list[str]
    faces: list[int]
    loose: list[int]
    refused: set[int]
    renumbered: Renumbered
    places: list[FacePlace]
    vectors: list[FaceVectors]


@dataclass(frozen=True, slots=True)
class ForgetSummary:
    """What went, what did not, and the proof.

    Attributes
    ----------
    steps : int
        Of the journal, that cannot be taken back any more.
    log_removed : bool
        Whether the server's write-ahead log from before is gone, too.
    out_of_reach : list of str
        What may still hold the person.
    """

    person: str
    faces: int
    loose_faces: int
    steps: int
    caches: list[CacheForgotten]
    results: list[ResultForgotten]
    log_removed: bool
    proof: Proof
    out_of_reach: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """Whom a user would forget: to be asked about."""

    name: str
    number: str
    faces: int
    loose_faces: int
    results: list[ResultForgotten]


def plan_forget(database: Database, who: str, caches: Sequence[Cache], folders: Sequence[Path]) -> ForgetPlan:
    """What forgetting somebody would remove; changes nothing. Raises `WrongUsage` where nobody is meant."""
    person = database.run(lambda connection: _person(database, connection, who))
    traces = _traces(database, person)
    found, _ = forget_in_results([*results_of(caches), *folders], traces, NOT_RENUMBERED, apply=False)
    return ForgetPlan(person.name, short(person.id), len(person.faces), len(person.loose), found)


def forget(
    database: Database,
    who: str,
    caches: Sequence[Cache] = (),
    folders: Sequence[Path] = (),
    *,
    exports: bool = False,
    pictures: Path | None = None,
    by: str,
    progress: Progress,
) -> ForgetSummary:
    """Erase a person from the library, and from caches and results; it cannot be undone.

    Files are first: where one of them cannot be written nothing is lost, and the same can be done again.

    Parameters
    ----------
    folders : sequence of Path
        Results besides those that the caches know.
    exports : bool
        Whether to remove the person from results, not only to list these.
    pictures : Path, optional
        Where pictures are kept that were made to look at: those of photos that show the person go.

    Raises
    ------
    WrongUsage
        Nobody is meant.
    DamagedFile, CannotWrite
        A cache cannot be read or written.
    AlreadyRunning
        A run writes to the cache, or groups the library's faces.
    """
    with RunLock(database, "cluster"):
        person = database.run(lambda connection: _person(database, connection, who))
        traces = _traces(database, person)
        files = _in_files(person, traces, caches, folders, exports=exports, progress=progress)
        if pictures is not None:
            remove_pictures(pictures, {place.sha256 for place in person.places})
        progress.begin("Forgetting in the library")
        erased = changing(database, lambda connection: _erase(connection, person, by, traces.forms))
        progress.begin("Rewriting tables")
        reach = [*files.failures, *_scrub(database)]
        log_removed = database.run_alone(remove_old_log)
        progress.begin("Searching for what is left")
        folders_left = [Path(result.folder) for result in files.results if exports]
        proof = prove(database, person.vectors, person.refused, traces.forms, files.caches, folders_left)
        progress.end()
    return ForgetSummary(
        person=short(person.id),
        faces=erased.faces - len(person.loose),
        loose_faces=len(person.loose),
        steps=erased.steps,
        caches=files.caches,
        results=files.results,
        log_removed=log_removed,
        proof=proof,
        out_of_reach=[*reach, *_out_of_reach(files.results, exports=exports, log_removed=log_removed)],
    )


@dataclass(frozen=True, slots=True)
class _Files:
    """What came of caches and results, and the reasons why some could not be looked at."""

    caches: list[CacheForgotten] = field(default_factory=list)
    results: list[ResultForgotten] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def _in_files(
    person: Person,
    traces: Traces,
    caches: Sequence[Cache],
    folders: Sequence[Path],
    *,
    exports: bool,
    progress: Progress,
) -> _Files:
    """Forget in caches and results: in results first, whose faces are known by what the caches hold."""
    files = _Files()

    def in_results(some: Sequence[Path], renumbered: Renumbered) -> None:
        found, failures = forget_in_results(some, traces, renumbered, apply=exports)
        files.results.extend(found)
        files.failures.extend(failures)

    for cache in caches:
        progress.begin(f"Forgetting in {cache.label}")
        results = results_of([cache])
        files.caches.append(forget_in_cache(cache, traces, partial(in_results, results)))
    in_results(folders, person.renumbered)
    return files


def _person(database: Database, connection: Connection, who: str) -> Person:
    state = find_person(connection, who)
    persons = merged_persons(connection, state.id)
    faces = faces_of_persons(connection, persons)
    vectors = vectors_of_faces(connection, faces)
    said = load_statements(connection)
    refused = {each.face for each in said.faces if not each.is_person and each.person in persons}
    loose = _loose(connection, vectors, refused)
    detector = Library(database).detector(connection)
    return Person(
        state.id,
        called(state),
        persons,
        names_ever(connection, persons),
        faces,
        loose,
        refused,
        NOT_RENUMBERED if detector is None else renumbered_ids(connection, detector.id, [*faces, *loose]),
        list(places_of(connection, [*faces, *loose]).values()),
        vectors,
    )


def _loose(connection: Connection, vectors: Sequence[FaceVectors], refused: set[int]) -> list[int]:
    """Faces of nobody that are near the person's, but for those that were said not to be theirs."""
    near = [face for theirs in vectors for face in searching.near_faces(connection, theirs, NEAR)]
    owners = persons_of_faces(connection, near)
    return [face for face, owner in owners.items() if owner is None and face not in refused]


def _traces(database: Database, person: Person) -> Traces:
    theirs = {*person.faces, *person.loose}

    def others(places: Sequence[FacePlace]) -> Bool:
        def work(connection: Connection) -> list[bool]:
            found = faces_at(connection, places)
            owners = persons_of_faces(connection, [face for face in found if face is not None])
            known = person.refused | {face for face, owner in owners.items() if owner is not None}
            return [face in known - theirs for face in found]

        return np.array(database.run(work), bool)

    return Traces(person.places, person.vectors, person.names, written_forms(person.names), others)


def _erase(connection: Connection, person: Person, by: str, forms: Sequence[str]) -> Erased:
    require_person(connection, person.id)
    now = {*person.faces, *person.loose, *faces_of_persons(connection, person.persons)}
    erased = erase(connection, person.persons, sorted(now), by)
    if forms:
        erase_words(connection, sql_pattern(forms))
    return erased


def _scrub(database: Database) -> list[str]:
    """Rewrite the tables; what could not be is told."""
    try:
        refused = database.run_alone(rewrite_tables)
    except CannotWrite:
        told = "the tables' old pages, for the disk is full. Free as much space as the library takes, and run"
        return [Sentence(f"{told} {Command('db psql', '-c', 'VACUUM FULL')}")]
    return [f"{table}, which this user of the server may not rewrite" for table in refused]


def _out_of_reach(results: Sequence[ResultForgotten], *, exports: bool, log_removed: bool) -> list[str]:
    """What may still hold the person, in words."""
    told = ["backups and copies of the library, of caches and of results"]
    if not log_removed:
        told.append("the server's write-ahead log and its archives: only its superuser can remove these")
    if results and not exports:
        folders = ", ".join(printable(result.folder) for result in results)
        told.append(
            Sentence(
                f"{folders}: not touched without {Field('exports')}. Remove these folders and make them again"
            )
        )
    told += [f"{printable(result.folder)}: {printable(name)}" for result in results for name in result.left]
    return told
