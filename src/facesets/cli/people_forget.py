"""`facesets people forget`: a person erased for good."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.people import WhoArgument
from facesets.cli.user import current_user
from facesets.cli.wording import worded
from facesets.errors import FacesetsError, Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.plurals import counted
from facesets.words.phrases import name_and_number

if TYPE_CHECKING:
    from facesets.operations.people.forgetting.forget_proof import Proof
    from facesets.operations.people.forgetting.forget_summary import ForgetPlan, ForgetSummary


def forget(
    who: WhoArgument,
    database: DatabaseOption = None,
    yes: Annotated[bool, Option("Do not ask.")] = False,
    cache: Annotated[
        tuple[Path, ...], Option("Forget in this cache, too; with several, in all of them.", metavar="FILE")
    ] = (),
    results: Annotated[
        tuple[Path, ...],
        Option(
            "A folder of results, besides those that the caches and the library know; with several, all.",
            metavar="FOLDER",
        ),
    ] = (),
    exports: Annotated[
        bool, Option("Remove the person from results and exports; without it these are listed.")
    ] = False,
) -> None:
    """Erase a person for good: faces, vectors, names, and what the log says; this cannot be undone."""
    from facesets.assembly.stores import open_cache
    from facesets.operations.people.forgetting.forget import forget as run
    from facesets.operations.people.forgetting.forget import plan_forget
    from facesets.settings import load
    from facesets.store.kept_pictures import FOLDER

    caches = [open_cache(path) for path in cache]
    folders = [path.absolute() for path in results]
    with console.progress() as progress, opened_library(database) as session:
        if not yes:
            with console.paused(progress):
                _ask(plan_forget(session, who, caches, folders))
        summary = run(
            session,
            who,
            caches,
            folders,
            exports=exports,
            pictures=load().cache_dir / FOLDER,
            by=current_user(),
            progress=progress,
        )
    console.show(summary, _lines(summary, exports=exports))
    if not summary.proof.is_clean:
        raise FacesetsError("Not everything of the person is gone: the lines above say what is left.")


def _ask(plan: "ForgetPlan") -> None:
    if plan.was_cut_off:
        return
    what = f"{name_and_number(plan.name, plan.number)}, {counted(plan.faces, 'face')}"
    if plan.loose_faces:
        what += f" and {plan.loose_faces} like them without a person"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WrongUsage(f"This erases {what} for good. Say {Field('yes')} if you mean it.")
    for result in plan.results:
        console.remark(f"{printable(result.folder)} holds {counted(result.faces, 'face')} of them.")
    if not console.agrees(f"Erase {what} for good? This cannot be undone."):
        raise WrongUsage("Nothing was erased.")


def _lines(summary: "ForgetSummary", *, exports: bool) -> list[str]:
    reach = [worded(f"Out of reach: {each}.") for each in summary.out_of_reach]
    if summary.was_cut_off:
        before = (
            "The person was erased before, and that was cut off: what was left of it is done now. Caches and "
            "results that were named then came first, and no others were searched; nor were vectors, for "
            "these are not known any more."
        )
        by_name = _proof(summary.proof, "tables", "name") if summary.person else []
        return [before, *by_name, *reach]
    loose = f" and {summary.loose_faces} like them without a person" if summary.loose_faces else ""
    steps = f"{counted(summary.steps, 'step')} cannot be taken back any more"
    lines = [f"Erased: {counted(summary.faces, 'face')}{loose}, with names and statements; {steps}."]
    for cache in summary.caches:
        stay = f"; {cache.of_others} that resemble them are other people's" if cache.of_others else ""
        lines.append(f"{printable(cache.file)}: {counted(cache.faces, 'face')} removed{stay}.")
    for result in summary.results:
        did = f"{counted(result.files, 'file')} removed" if exports else "not touched"
        lines.append(f"{printable(result.folder)}: {counted(result.faces, 'face')}, {did}.")
    holding = {result.folder for result in summary.results}
    lines += [f"{printable(each)}: nothing of them." for each in summary.searched if each not in holding]
    places = ["tables"] + [
        counted(len(found), what)
        for found, what in ((summary.caches, "cache"), (summary.searched, "result folder"))
        if found
    ]
    lines += _proof(summary.proof, ", ".join(places), "vector and no name")
    if not summary.searched:
        lines.append(
            "Result folders were not searched, for none was named and the library knows of none: give each "
            "with --results FOLDER, and what was made from a cache with --cache FILE."
        )
    return lines + reach


def _proof(proof: "Proof", searched: str, what: str) -> list[str]:
    if proof.is_clean:
        lines = [f"Searched {searched}: no {what} of the person is left there."]
    else:
        lines = (
            [f"Left: {counted(proof.vectors_left, 'vector')} near the person's."]
            if proof.vectors_left
            else []
        )
        lines += [f"Left: the name, in {place}." for place in proof.names_left]
    for who, count in proof.of_others.items():
        lines.append(f"Similar, but not theirs: {counted(count, 'vector')} of {who}.")
    if proof.names_of_others:
        places = ", ".join(proof.names_of_others)
        lines.append(f"The name also stands where photos lie, or is part of another's: {places}.")
    return lines
