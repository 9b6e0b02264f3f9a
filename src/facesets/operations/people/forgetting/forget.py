"""`people forget`: a person erased for good, and the proof of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from facesets.errors import Changed, DamagedFile
from facesets.formats.hierarchy import packed, unpacked
from facesets.imaging.renumbered_faces import Renumbered
from facesets.interfaces import Progress
from facesets.operations.people.corrections.lookup import require_person, short
from facesets.operations.people.forgetting.finishing import (
    Scrubbed,
    erased_before,
    finish,
    note_erased,
    out_of_reach,
    scrub,
)
from facesets.operations.people.forgetting.forget_files import (
    CacheForgotten,
    Traces,
    forget_in_cache,
    forget_in_results,
    results_of,
)
from facesets.operations.people.forgetting.forget_proof import prove
from facesets.operations.people.forgetting.person_to_erase import (
    PersonToErase,
    folders_to_search,
    person_to_erase,
    traces_of,
)
from facesets.operations.people.forgetting.written_names import sql_pattern, written_forms
from facesets.result import Result
from facesets.results.forgetting import ResultForgotten
from facesets.store.npz.cache import Cache
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.clusters import refresh_centers
from facesets.store.postgres.people.forgetting import (
    Erased,
    erase,
    erase_words,
    faces_of_persons,
)
from facesets.store.postgres.people.hierarchies import arrays_of, drop_run, replace_arrays, runs_with
from facesets.store.postgres.people.prototypes import refresh_prototypes
from facesets.store.postgres.people.steps import changing
from facesets.store.postgres.photos.xmp_sidecars import count_naming_forgotten, count_sidecars
from facesets.store.stored_crops import remove_pictures
from facesets.work import Work


def forget(
    database: Database,
    name_or_id: str,
    caches: Sequence[Cache] = (),
    folders: Sequence[Path] = (),
    *,
    exports: bool = False,
    pictures: Path | None = None,
    exactly: bool = False,
    work: Work,
) -> Result:
    """Erase a person from the library, caches and results; it cannot be undone.

    Files are changed first: if one cannot be written, nothing is lost, and the command can be repeated, also
    after a later interruption.

    Parameters
    ----------
    folders : sequence of Path
        Result folders in addition to those that the caches and the library know.
    exports : bool
        Whether to remove the person from results rather than only list them.
    pictures : Path, optional
        The folder of cached display pictures; those of photos with the person are removed.
    exactly : bool
        `name_or_id` is a whole id; if that person was merged meanwhile, the other person is not erased.

    Raises
    ------
    Changed
        The person was merged into another.
    WrongUsage
        The person does not exist.
    DamagedFile, CannotWrite
        A cache cannot be read or written.
    AlreadyRunning
        A run writes to the cache, or groups the library's faces.
    """
    with RunLock(database, "cluster"):
        if known := database.run(erased_before, name_or_id):
            return _rest(database, name_or_id if known == "name" else "", work.progress)
        person = database.run(person_to_erase, database, name_or_id)
        if exactly and f"{person.id}" != name_or_id:
            raise Changed(f"This person was merged into {person.name} in the meantime. Nothing was erased.")
        traces = traces_of(database, person)
        folders = folders_to_search(database, folders)
        files = _in_files(person, traces, caches, folders, work.progress, exports=exports)
        _remove_pictures(person, pictures)
        sidecars = database.run(count_sidecars, person.persons)
        work.progress.begin("Erasing from the library")
        erased = changing(database, _erase, name_or_id, person, work.by, traces.forms)
        _renew(database, person, pictures)
        work.progress.begin("Rewriting tables")
        scrubbed = scrub(database)
        work.progress.begin("Searching for remaining data")
        proof = prove(database, person.vectors, person.denied, traces.forms, files.caches, files.emptied)
        finish(database, scrubbed)
    work.progress.end()
    went = _erased_files(files, scrubbed, proof, sidecars, has_faces=person.has_faces)
    return _counted(person, erased, went)


def _remove_pictures(person: PersonToErase, directory: Path | None) -> None:
    if directory is not None:
        remove_pictures(directory, {place.sha256 for place in person.places})


def _rest(database: Database, name: str, progress: Progress) -> Result:
    """Finish after a person is erased; search for the name, if it is known."""
    progress.begin("Rewriting tables")
    scrubbed = scrub(database)
    progress.begin("Searching for remaining data")
    proof = prove(database, [], set(), written_forms([name] if name else []), [], [])
    finish(database, scrubbed)
    sidecars = database.run(count_naming_forgotten)
    progress.end()
    return Result(_erased_files(_Files(), scrubbed, proof, sidecars), person=name, was_cut_off=True)


_NO_FACE = 0
"""Placeholder for a face number; no face has it."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The outcome for caches and results, and the reasons why some could not be checked."""

    caches: list[CacheForgotten] = field(default_factory=list)
    results: list[ResultForgotten] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    exports: bool = False

    @property
    def emptied(self) -> list[Path]:
        """The results to remove the person from."""
        return [Path(result.folder) for result in self.results if self.exports]


def _erased_files(
    files: _Files, scrubbed: Scrubbed, proof: Result, sidecars: int, *, has_faces: bool = True
) -> Result:
    beyond = out_of_reach(
        scrubbed, files.results, exports=files.exports, sidecars=sidecars, has_faces=has_faces
    )
    return Result(
        person="",  # the number; after a run that was cut off the name, if that is known
        faces=0,
        loose_faces=0,
        steps=0,  # that can no longer be undone
        caches=files.caches,
        results=files.results,
        searched=files.searched,  # folders of results
        log_removed=scrubbed.log_removed,  # the server's write-ahead log from before
        proof=proof,
        out_of_reach=[*files.failures, *beyond],  # what may still hold the person
        was_cut_off=False,  # an earlier run erased the person, and now only the rest was done
    )


def _counted(person: PersonToErase, erased: Erased, went: Result) -> Result:
    loose = len(person.loose)
    faces = erased.faces - loose
    return Result(went, person=short(person.id), faces=faces, loose_faces=loose, steps=erased.steps)


def _in_files(
    person: PersonToErase,
    traces: Traces,
    caches: Sequence[Cache],
    folders: Sequence[Path],
    progress: Progress,
    *,
    exports: bool,
) -> _Files:
    """Erase from results first, then from caches, because caches identify the faces in results."""
    files = _Files(exports=exports)

    def in_results(some: Sequence[Path], renumbered: Renumbered) -> None:
        new = [folder for folder in some if str(folder) not in files.searched]
        found, failures = forget_in_results(new, traces, renumbered, apply=exports)
        files.results.extend(found)
        files.searched.extend(map(str, new))
        files.failures.extend(failures.values())

    for cache in caches:
        progress.begin(f"Erasing from {cache.label}")
        results = results_of([cache])
        files.caches.append(forget_in_cache(cache, traces, partial(in_results, results)))
    in_results(folders, person.renumbered)
    return files


def _erase(
    connection: Connection, name_or_id: str, person: PersonToErase, by: str, forms: Sequence[str]
) -> Erased:
    require_person(connection, person.id)
    now = {*person.faces, *person.loose, *faces_of_persons(connection, person.persons)}
    _forget_in_hierarchies(connection, sorted(now))
    pattern = sql_pattern(forms) if forms else None
    erased = erase(connection, person.persons, sorted(now), pattern, by)
    if pattern is not None:
        erase_words(connection, pattern)
    note_erased(connection, name_or_id, person.persons, person.names)
    return erased


def _renew(database: Database, person: PersonToErase, pictures: Path | None) -> None:
    """Remove pictures made meanwhile, and recompute averages that included the person's faces."""
    # From now on the library shows none of their faces.
    _remove_pictures(person, pictures)

    def averages(connection: Connection) -> None:
        if (detector := Library(database).detector(connection)) is not None:
            refresh_prototypes(connection, detector)
            refresh_centers(connection, detector)

    database.run(averages)


def _forget_in_hierarchies(connection: Connection, faces: Sequence[int]) -> None:
    """Remove face numbers from saved hierarchies, which work without them; delete one that cannot be read."""
    for run in runs_with(connection, faces):
        try:
            result, face_id = unpacked(arrays_of(connection, run))
        except DamagedFile:
            drop_run(connection, run)
            continue
        left = np.where(np.isin(face_id, np.array(faces, np.int64)), _NO_FACE, face_id)
        replace_arrays(connection, run, packed(result, left))
