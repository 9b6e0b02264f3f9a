"""Summaries of corrections and maintenance of the library's people."""

from collections.abc import Iterable

from facesets.files import printable
from facesets.plurals import counted
from facesets.result import Result
from facesets.words.phrases import how_to_undo, name_and_number, table

_WHY = {"burst": "same place seconds apart", "colours": "same colours that day"}
_KIND = {"exemplar": "reference face"}


def person(done: Result) -> list[str]:
    """Return the summary of `people name`, `rename`, `hide`, `unhide`, `merge` and `set`."""
    label = name_and_number(done.name, done.person)
    return [f"{label}: {done.did}; {counted(done.faces, 'face')} in total.{how_to_undo(done.step)}"]


def move(done: Result) -> list[str]:
    """Return the summary of `people move`."""
    where = f"moved to {name_and_number(done.name, done.person)}" if done.person else "unassigned"
    return [f"{counted(done.faces, 'face')} {where}.{how_to_undo(done.step)}"]


def same(done: Result) -> list[str]:
    """Return the summary of `people same` and `different`."""
    return _saved(done.said, done.step)


def answer(done: Result) -> list[str]:
    """Return the summary of `people answer`."""
    return _saved(done.did, done.step)


def _saved(what: str, step: int | None) -> list[str]:
    return [f"Saved: {what}.{how_to_undo(step)}"]


def split(done: Result, *, parts: int | None, min_size: int, apply: bool) -> list[str]:
    """Return the summary of `people split`, given its options."""
    if len(done.parts) < 2:
        return [_whole(done, parts, min_size)]
    numbers = [str(number) for number in range(1, len(done.parts) + 1)]
    rows = [
        (
            number,
            len(part.faces),
            part.photos,
            printable(part.name) or "new person",
            *("-" if distance < 1e-6 else f"{distance:.2f}" for distance in part.distances),
        )
        for number, part in zip(numbers, done.parts, strict=True)
    ]
    headings = ("part", "faces", "photos", "name", *(f"to {number}" for number in numbers))
    return [
        table(headings, rows),
        "The last columns show the cosine distance between the means of the parts.",
        f"Split into {counted(len(rows), 'part')}.{how_to_undo(done.step)}"
        if apply
        else "Nothing was changed. Add --apply to make a person of each part.",
    ]


def _whole(done: Result, parts: int | None, min_size: int) -> str:
    """Return the line for a person who cannot be split."""
    if parts is None or parts < 2:
        looks = counted(done.faces, "face looks", "faces look")
        return f"{printable(done.name)}: {looks} like one person. Use --parts N to split anyway."
    smaller = " A lower --min-size allows smaller parts." if min_size > 1 else ""
    faces = f"{printable(done.name)}: {counted(done.faces, 'face')}"
    return f"{faces} cannot be split into {parts} parts of at least {counted(min_size, 'face')}.{smaller}"


def forget(done: Result, *, exports: bool) -> list[str]:
    """Return the summary of `people forget`; only with `exports` were results changed."""
    reach = [f"Not erased: {each}." for each in done.out_of_reach]
    if done.was_cut_off:
        before = (
            "An earlier run erased this person but was interrupted; the rest is done now. The caches and "
            "results given to that run were done first. Other files were not searched, nor were embeddings, "
            "which no longer exist."
        )
        by_name = _proof(done.proof, "tables", "name") if done.person else []
        return [before, *by_name, *reach]
    loose = f" and {counted(done.loose_faces, 'similar unassigned face')}" if done.loose_faces else ""
    changes = f"{counted(done.steps, 'change')} can no longer be undone"
    lines = [f"Erased: {counted(done.faces, 'face')}{loose}, with names and corrections; {changes}."]
    for cache in done.caches:
        stay = f"; {counted(cache.of_others, 'similar face')} of other people kept" if cache.of_others else ""
        lines.append(f"{printable(cache.file)}: {counted(cache.faces, 'face')} removed{stay}.")
    for result in done.results:
        did = f"{counted(result.files, 'file')} removed" if exports else "unchanged"
        lines.append(f"{printable(result.folder)}: {counted(result.faces, 'face')}, {did}.")
    holding = {result.folder for result in done.results}
    lines += [f"{printable(each)}: no faces of this person." for each in done.searched if each not in holding]
    places = ["tables"] + [
        counted(len(found), what)
        for found, what in ((done.caches, "cache"), (done.searched, "result folder"))
        if found
    ]
    what = "embedding or name" if done.faces or done.loose_faces else "name"
    lines += _proof(done.proof, ", ".join(places), what)
    if not done.searched:
        lines.append(
            "No result folders were searched: none were given, and the library knows none. Give each with "
            "--results FOLDER, or the cache that they were made from with --cache FILE."
        )
    return lines + reach


def forget_plan(plan: Result, *, exports: bool) -> list[str]:
    """Return what `people forget --dry-run` would erase."""
    if plan.was_cut_off:
        return ["An earlier run erased this person but was interrupted. Without --dry-run the rest is done."]
    loose = f" and {counted(plan.loose_faces, 'similar unassigned face')}" if plan.loose_faces else ""
    faces = f"{counted(plan.faces, 'face')}{loose} on {counted(plan.photos, 'photo')}"
    who = name_and_number(plan.name, plan.number)
    lines = [f"Would erase {who}: {faces}, with names and corrections. The photos stay."]
    for cache in plan.caches:
        stay = (
            f"; {counted(cache.of_others, 'similar face')} of other people would stay"
            if cache.of_others
            else ""
        )
        lines.append(f"{printable(cache.file)}: {counted(cache.faces, 'face')} would be removed{stay}.")
    for result in plan.results:
        did = (
            f"{counted(result.files, 'file')} would be removed" if exports else "unchanged without --exports"
        )
        lines.append(f"{printable(result.folder)}: {counted(result.faces, 'face')}; {did}.")
    holding = {result.folder for result in plan.results}
    lines += [f"{printable(each)}: no faces of this person." for each in plan.searched if each not in holding]
    lines += [f"Would not be erased: {each}." for each in plan.out_of_reach]
    return [*lines, "Nothing was erased."]


def _proof(proof: Result, searched: str, what: str) -> list[str]:
    if proof.is_clean:
        lines = [f"Searched {searched}: no {what} of this person found."]
    else:
        left = f"Still there: {counted(proof.vectors_left, 'embedding')} similar to this person's."
        lines = [left] if proof.vectors_left else []
        lines += [f"Still there: the name, in {place}." for place in proof.names_left]
    for person, count in proof.of_others.items():
        lines.append(f"Similar, but not this person's: {counted(count, 'embedding')} of {person}.")
    if proof.names_of_others:
        places = ", ".join(proof.names_of_others)
        lines.append(f"The name also occurs in photo paths or in other names: {places}.")
    return lines


def prototypes(done: Result) -> list[str]:
    """Return the table of `people prototypes`."""
    headings = ("person", "kind", "face", "quality", "pinned", "faces", "from", "to")
    rows = [
        (
            line.person[:8],
            _KIND.get(line.kind, line.kind),
            "-" if line.face is None else line.face,
            "-" if line.quality is None else f"{line.quality:.2f}",
            "yes" if line.pinned else "-",
            line.faces,
            line.first or "-",
            line.last or "-",
        )
        for line in done.prototypes
    ]
    lines = [table(headings, rows) if rows else "No reference faces yet: no person has a face."]
    return lines + ([f"{done.did}.{how_to_undo(done.step)}"] if done.did else [])


def bodies(done: Result) -> list[str]:
    """Return the table of `people bodies`."""
    heading = (
        f"{name_and_number(done.name, done.person)}: {counted(done.bodies, 'body', 'bodies')} with a face, "
        f"{counted(len(done.suggested), 'photo')} that may show them without a face."
    )
    headings = ("taken", "reason", "similarity", "at", "photo", "similar to")
    rows = [
        (
            each.taken,
            _WHY[each.why],
            "-" if each.similarity is None else f"{each.similarity:.2f}",
            ",".join(f"{value:.0f}" for value in each.box),
            printable(each.path),
            printable(each.like),
        )
        for each in done.suggested
    ]
    return [heading, *([table(headings, rows)] if rows else [])]


def maintain(tasks: Iterable[Result], *, dry_run: bool, briefly: bool = False) -> list[str]:
    """Return the summary of `maintain`; with `briefly`, only reports and what the user should look at."""
    lines = [
        line
        for done in tasks
        if not briefly or done.lines or done.task in {"staleness", "health"}
        for line in (
            f"{done.task}: {done.did}{how_to_undo(done.step)}",
            *(f"  {each}" for each in done.lines),
        )
    ]
    return [*lines, "Nothing was stored."] if dry_run else lines
