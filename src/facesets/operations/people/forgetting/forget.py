"""`people forget`: a person erased for good, and the proof of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np

from facesets.errors import Changed
from facesets.files import plain_path
from facesets.imaging.renumbered_faces import NOT_RENUMBERED, Renumbered
from facesets.interfaces import Progress
from facesets.operations.people.corrections.who import called, find_person, require_person, short
from facesets.operations.people.forgetting.finishing import (
    Scrubbed,
    erased_before,
    finish,
    note_erased,
    scrub,
)
from facesets.operations.people.forgetting.forget_files import (
    NEAR,
    CacheForgotten,
    Traces,
    forget_in_cache,
    forget_in_results,
    results_of,
    results_of_library,
)
from facesets.operations.people.forgetting.forget_hierarchies import forget_in_hierarchies
from facesets.operations.people.forgetting.forget_proof import prove
from facesets.operations.people.forgetting.reach import out_of_reach
from facesets.operations.people.forgetting.written_names import sql_pattern, written_forms
from facesets.records import Bool
from facesets.result import Result
from facesets.results.forgetting import ResultForgotten
from facesets.store.npz.cache import Cache
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import traces as searching
from facesets.store.postgres.people.clusters import refresh_centers
from facesets.store.postgres.people.corrections import load_corrections
from facesets.store.postgres.people.face_details import FaceVectors, vectors_of_faces
from facesets.store.postgres.people.forgetting import (
    Erased,
    erase,
    erase_words,
    faces_of_persons,
    names_ever,
    renumbered_ids,
)
from facesets.store.postgres.people.persons import merged_persons, persons_of_faces
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.people.steps import changing
from facesets.store.postgres.photos.face_places import FacePlace, faces_at, places_of
from facesets.store.postgres.photos.xmp_sidecars import count_naming_forgotten, count_sidecars
from facesets.store.stored_crops import remove_pictures
from facesets.work import Work


@dataclass(frozen=True, slots=True)
class Person:
    """The person to erase, and everything that identifies them.

    Attributes
    ----------
    loose : list of int
        Further faces, unassigned, within `NEAR` of theirs.
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


def plan_forget(database: Database, who: str, caches: Sequence[Cache], folders: Sequence[Path]) -> Result:
    """Return what erasing a person would remove. Raises `WrongUsage` if there is no such person.

    Somebody whose erasing was cut off is erased already: there is nothing to be asked about.
    """
    if database.run(erased_before, who):
        return Result(name=who, number="", faces=0, loose_faces=0, results=[], was_cut_off=True)
    person = database.run(lambda connection: _person(database, connection, who))
    traces = _traces(database, person)
    every = [*results_of(caches), *_folders(database, folders)]
    found, _ = forget_in_results(every, traces, NOT_RENUMBERED, apply=False)
    return Result(
        name=person.name,
        number=short(person.id),
        faces=len(person.faces),
        loose_faces=len(person.loose),
        results=found,
        was_cut_off=False,
    )


def forget(
    database: Database,
    who: str,
    caches: Sequence[Cache] = (),
    folders: Sequence[Path] = (),
    *,
    exports: bool = False,
    pictures: Path | None = None,
    exactly: bool = False,
    work: Work,
) -> Result:
    """Erase a person from the library, caches and results; it cannot be undone.

    Files are first: where one of them cannot be written nothing is lost, and the same can be done again; as
    it can when it is cut off later.

    Parameters
    ----------
    folders : sequence of Path
        Results besides those that the caches and the library know.
    exports : bool
        Whether to remove the person from results, not only to list these.
    pictures : Path, optional
        Where pictures are kept that were made to look at: those of photos that show the person go.
    exactly : bool
        `who` is a whole number, and nobody is erased whom they were merged into since it was read.

    Raises
    ------
    Changed
        They were merged into somebody.
    WrongUsage
        Nobody is meant.
    DamagedFile, CannotWrite
        A cache cannot be read or written.
    AlreadyRunning
        A run writes to the cache, or groups the library's faces.
    """
    with RunLock(database, "cluster"):
        if known := database.run(erased_before, who):
            return _rest(database, who if known == "name" else "", work.progress)
        person = database.run(lambda connection: _person(database, connection, who))
        if exactly and f"{person.id}" != who:
            raise Changed(f"This person was merged into {person.name} in the meantime. Nothing was erased.")
        traces = _traces(database, person)
        files = _in_files(person, traces, caches, _folders(database, folders), work.progress, exports=exports)
        _remove_pictures(person, pictures)
        sidecars = database.run(count_sidecars, person.persons)
        work.progress.begin("Erasing from the library")
        erased = changing(database, _erase, who, person, work.by, traces.forms)
        # Somebody may have looked meanwhile; from now on the library shows no such face.
        _remove_pictures(person, pictures)
        database.run(_renew, Library(database))
        work.progress.begin("Rewriting tables")
        scrubbed = scrub(database)
        work.progress.begin("Searching for remaining data")
        proof = prove(database, person.vectors, person.refused, traces.forms, files.caches, files.emptied)
        finish(database, scrubbed)
    work.progress.end()
    return _counted(person, erased, _what_went(files, scrubbed, proof, sidecars))


def _remove_pictures(person: Person, directory: Path | None) -> None:
    if directory is not None:
        remove_pictures(directory, {place.sha256 for place in person.places})


def _rest(database: Database, name: str, progress: Progress) -> Result:
    """Do what is left once somebody is erased; search for the name, if it is known."""
    progress.begin("Rewriting tables")
    scrubbed = scrub(database)
    progress.begin("Searching for remaining data")
    proof = prove(database, [], set(), written_forms([name] if name else []), [], [])
    finish(database, scrubbed)
    sidecars = database.run(count_naming_forgotten)
    progress.end()
    return Result(_what_went(_Files(), scrubbed, proof, sidecars), person=name, was_cut_off=True)


@dataclass(frozen=True, slots=True)
class _Files:
    """What came of caches and results, and the reasons why some could not be looked at."""

    caches: list[CacheForgotten] = field(default_factory=list)
    results: list[ResultForgotten] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    exports: bool = False

    @property
    def emptied(self) -> list[Path]:
        """The results from which the person was to go."""
        return [Path(result.folder) for result in self.results if self.exports]


def _folders(database: Database, given: Sequence[Path]) -> list[Path]:
    """Results of the library that it knows, and those that are given, each once."""
    return list(dict.fromkeys(map(plain_path, (*results_of_library(database), *given))))


def _what_went(files: _Files, scrubbed: Scrubbed, proof: Result, sidecars: int) -> Result:
    beyond = out_of_reach(scrubbed, files.results, exports=files.exports, sidecars=sidecars)
    return Result(
        person="",  # the number; after a run that was cut off the name, if that is known
        faces=0,
        loose_faces=0,
        steps=0,  # that cannot be taken back any more
        caches=files.caches,
        results=files.results,
        searched=files.searched,  # folders of results
        log_removed=scrubbed.log_removed,  # the server's write-ahead log from before
        proof=proof,
        out_of_reach=[*files.failures, *beyond],  # what may still hold the person
        was_cut_off=False,  # an earlier run erased the person, and now only the rest was done
    )


def _counted(person: Person, erased: Erased, went: Result) -> Result:
    loose = len(person.loose)
    faces = erased.faces - loose
    return Result(went, person=short(person.id), faces=faces, loose_faces=loose, steps=erased.steps)


def _in_files(
    person: Person,
    traces: Traces,
    caches: Sequence[Cache],
    folders: Sequence[Path],
    progress: Progress,
    *,
    exports: bool,
) -> _Files:
    """Forget in caches and results: in results first, whose faces are known by what the caches hold."""
    files = _Files(exports=exports)

    def in_results(some: Sequence[Path], renumbered: Renumbered) -> None:
        found, failures = forget_in_results(some, traces, renumbered, apply=exports)
        files.results.extend(found)
        files.searched.extend(map(str, some))
        files.failures.extend(failures)

    for cache in caches:
        progress.begin(f"Erasing from {cache.label}")
        results = results_of([cache])
        files.caches.append(forget_in_cache(cache, traces, partial(in_results, results)))
    in_results(folders, person.renumbered)
    return files


def _person(database: Database, connection: Connection, who: str) -> Person:
    state = find_person(connection, who)
    persons = merged_persons(connection, state.id)
    faces = faces_of_persons(connection, persons)
    vectors = vectors_of_faces(connection, faces)
    said = load_corrections(connection)
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


def _erase(connection: Connection, who: str, person: Person, by: str, forms: Sequence[str]) -> Erased:
    require_person(connection, person.id)
    now = {*person.faces, *person.loose, *faces_of_persons(connection, person.persons)}
    forget_in_hierarchies(connection, sorted(now))
    pattern = sql_pattern(forms) if forms else None
    erased = erase(connection, person.persons, sorted(now), pattern, by)
    if pattern is not None:
        erase_words(connection, pattern)
    note_erased(connection, who, person.persons, person.names)
    return erased


def _renew(connection: Connection, library: Library) -> None:
    """Make again what was averaged of others' faces and the person's."""
    if (detector := library.detector(connection)) is not None:
        refresh_prototypes(connection, detector)
        refresh_centers(connection, detector)
