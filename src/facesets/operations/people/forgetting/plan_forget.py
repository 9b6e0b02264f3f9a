"""`people forget --dry-run`: what erasing a person would remove."""

from collections.abc import Sequence
from pathlib import Path

from facesets.imaging.renumbered_faces import NOT_RENUMBERED
from facesets.operations.people.corrections.lookup import short
from facesets.operations.people.forgetting.finishing import Scrubbed, erased_before
from facesets.operations.people.forgetting.forget_files import find_in_cache, forget_in_results, results_of
from facesets.operations.people.forgetting.person_to_erase import (
    folders_to_search,
    person_to_erase,
    traces_of,
)
from facesets.operations.people.forgetting.reach import out_of_reach
from facesets.result import Result
from facesets.store.npz.cache import Cache
from facesets.store.postgres.connection import Database
from facesets.store.postgres.photos.xmp_sidecars import count_sidecars


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
        searched=list(map(str, every)),
        out_of_reach=[*failures, *beyond],
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
