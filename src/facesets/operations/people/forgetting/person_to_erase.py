"""The person to erase: everything that identifies them, where to look for it, and what would go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np

from facesets.files import PEOPLE, RUN_RECORD, SETS, plain_path
from facesets.imaging.renumbered_faces import NOT_RENUMBERED, Renumbered
from facesets.operations.people.corrections.lookup import called, find_person, short
from facesets.operations.people.forgetting.finishing import Scrubbed, erased_before, out_of_reach
from facesets.operations.people.forgetting.forget_files import (
    NEAR,
    Traces,
    find_in_cache,
    forget_in_results,
    results_of,
    results_of_library,
)
from facesets.operations.people.forgetting.written_names import written_forms
from facesets.records import Bool
from facesets.result import Result
from facesets.store.npz.cache import Cache
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people import traces as searching
from facesets.store.postgres.people.corrections import load_corrections
from facesets.store.postgres.people.face_details import FaceVectors, vectors_of_faces
from facesets.store.postgres.people.forgetting import faces_of_persons, names_ever, renumbered_ids
from facesets.store.postgres.people.persons import merged_persons, persons_of_faces
from facesets.store.postgres.photos.face_places import FacePlace, faces_at, places_of
from facesets.store.postgres.photos.xmp_sidecars import count_sidecars


@dataclass(frozen=True, slots=True)
class PersonToErase:
    """The person to erase, and everything that identifies them.

    Attributes
    ----------
    loose : list of int
        Unassigned faces within `NEAR` of the person's faces.
    denied : set of int
        Faces denied for the person, which stay.
    renumbered : Renumbered
        Face ids in results of the library that change afterwards.
    """

    id: UUID
    name: str
    persons: list[UUID]
    names: list[str]
    faces: list[int]
    loose: list[int]
    denied: set[int]
    renumbered: Renumbered
    places: list[FacePlace]
    vectors: list[FaceVectors]

    @property
    def has_faces(self) -> bool:
        """Whether the library has faces by which caches and results can be searched."""
        return bool(self.faces or self.loose)


def person_to_erase(connection: Connection, database: Database, name_or_id: str) -> PersonToErase:
    """Return the requested person. Raises `WrongUsage` if there is none."""
    state = find_person(connection, name_or_id)
    persons = merged_persons(connection, state.id)
    faces = faces_of_persons(connection, persons)
    vectors = vectors_of_faces(connection, faces)
    corrections = load_corrections(connection)
    denied = {each.face for each in corrections.faces if not each.is_person and each.person in persons}
    loose = _loose(connection, vectors, denied)
    detector = Library(database).detector(connection)
    return PersonToErase(
        state.id,
        called(state),
        persons,
        names_ever(connection, persons),
        faces,
        loose,
        denied,
        NOT_RENUMBERED if detector is None else renumbered_ids(connection, detector.id, [*faces, *loose]),
        list(places_of(connection, [*faces, *loose]).values()),
        vectors,
    )


def _loose(connection: Connection, vectors: Sequence[FaceVectors], denied: set[int]) -> list[int]:
    """Return unassigned faces near the person's, except those denied for the person."""
    near = [face for each in vectors for face in searching.near_faces(connection, each, NEAR)]
    owners = persons_of_faces(connection, near)
    return [face for face, owner in owners.items() if owner is None and face not in denied]


def traces_of(database: Database, person: PersonToErase) -> Traces:
    """Return what identifies a person in files."""
    erased = {*person.faces, *person.loose}

    def others(places: Sequence[FacePlace]) -> Bool:
        def work(connection: Connection) -> list[bool]:
            found = faces_at(connection, places)
            owners = persons_of_faces(connection, [face for face in found if face is not None])
            known = person.denied | {face for face, owner in owners.items() if owner is not None}
            return [face in known - erased for face in found]

        return np.array(database.run(work), bool)

    return Traces(person.places, person.vectors, person.names, written_forms(person.names), others)


def folders_to_search(database: Database, given: Sequence[Path]) -> list[Path]:
    """Return the results that the library knows and the given ones, each once; for `run`, those inside."""
    every = [each for folder in (*results_of_library(database), *given) for each in _results_in(folder)]
    return list(dict.fromkeys(map(plain_path, every)))


def _results_in(folder: Path) -> list[Path]:
    if not (folder / RUN_RECORD).is_file():
        return [folder]
    return [each for each in (folder / PEOPLE, folder / SETS) if each.is_dir()]


def plan_forget(
    database: Database,
    name_or_id: str,
    caches: Sequence[Cache] = (),
    folders: Sequence[Path] = (),
    *,
    exports: bool = False,
) -> Result:
    """Return what erasing a person would remove, with the arguments of `forget`; nothing is changed.

    If erasing was interrupted, the person is erased already, and there is nothing to confirm.

    Raises
    ------
    WrongUsage
        The person does not exist.
    DamagedFile
        A cache cannot be read.
    """
    if database.run(erased_before, name_or_id):
        return _plan(name_or_id, was_cut_off=True)
    person = database.run(person_to_erase, database, name_or_id)
    traces = traces_of(database, person)
    every = list(dict.fromkeys([*results_of(caches), *folders_to_search(database, folders)]))
    found, failures = forget_in_results(every, traces, NOT_RENUMBERED, apply=False)
    sidecars = database.run(count_sidecars, person.persons)
    beyond = out_of_reach(Scrubbed(), found, exports=exports, sidecars=sidecars, has_faces=person.has_faces)
    return Result(
        _plan(person.name),
        number=short(person.id),
        faces=len(person.faces),
        photos=len({place.sha256 for place in person.places}),
        loose_faces=len(person.loose),
        caches=[find_in_cache(cache, traces) for cache in caches],
        results=found,
        searched=[str(folder) for folder in every if folder not in failures],
        out_of_reach=[*failures.values(), *beyond],
    )


def _plan(name: str, *, was_cut_off: bool = False) -> Result:
    return Result(
        name=name,
        number="",
        faces=0,
        photos=0,  # photos with those faces and the similar unassigned ones; they stay
        loose_faces=0,
        caches=[],
        results=[],
        searched=[],
        out_of_reach=[],
        was_cut_off=was_cut_off,
        dry_run=True,
    )
