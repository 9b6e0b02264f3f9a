"""What humans and upkeep changed about the library's people, in words."""

from collections.abc import Iterable

from facesets.files import printable
from facesets.plurals import counted
from facesets.result import Result
from facesets.words.phrases import how_to_undo, name_and_number, table

_WHY = {"burst": "stood there seconds apart", "colours": "same colours that day"}


def person(done: Result) -> list[str]:
    """Words of `people name`, `rename`, `hide`, `unhide`, `merge` and `set`: how a person stands now."""
    who = name_and_number(done.name, done.person)
    return [f"{who}: {done.did}; {counted(done.faces, 'face')} in all.{how_to_undo(done.step)}"]


def move(done: Result) -> list[str]:
    """Words of `people move`."""
    where = name_and_number(done.name, done.person) if done.person else "nobody"
    return [f"{counted(done.faces, 'face')} moved to {where}.{how_to_undo(done.step)}"]


def said(done: Result) -> list[str]:
    """Words of `people same` and `different`."""
    return [f"Kept: {done.said}.{how_to_undo(done.step)}"]


def answer(done: Result) -> list[str]:
    """Words of `people answer`."""
    return [f"Kept: {done.did}.{how_to_undo(done.step)}"]


def split(done: Result, *, parts: int | None, min_size: int, apply: bool) -> list[str]:
    """Words of `people split`, which was asked for so many parts of at least a size."""
    if len(done.parts) < 2:
        return [_whole(done, parts, min_size)]
    numbers = [str(number) for number in range(1, len(done.parts) + 1)]
    rows = [
        (
            number,
            len(part.faces),
            part.photos,
            printable(part.name) or "somebody new",
            *("-" if distance < 1e-6 else f"{distance:.2f}" for distance in part.distances),
        )
        for number, part in zip(numbers, done.parts, strict=True)
    ]
    headings = ("part", "faces", "photos", "is", *(f"to {number}" for number in numbers))
    return [
        table(headings, rows),
        "The last columns are cosine distances between the parts' means.",
        f"Split into {counted(len(rows), 'part')}.{how_to_undo(done.step)}"
        if apply
        else "Nothing was changed: --apply makes people of the parts.",
    ]


def _whole(done: Result, parts: int | None, min_size: int) -> str:
    """That somebody falls into no parts."""
    faces = f"{printable(done.name)}: {counted(done.faces, 'face')} that"
    if parts is None or parts < 2:
        return f"{faces} hold together. --parts N asks for so many all the same."
    smaller = " A lower --min-size allows smaller ones." if min_size > 1 else ""
    return f"{faces} do not fall into {parts} parts of {counted(min_size, 'face')} or more.{smaller}"


def forget(done: Result, *, exports: bool) -> list[str]:
    """Words of `people forget`, which removed the person from results with `exports` alone."""
    reach = [f"Out of reach: {each}." for each in done.out_of_reach]
    if done.was_cut_off:
        before = (
            "The person was erased before, and that was cut off: what was left of it is done now. Caches and "
            "results that were named then came first, and no others were searched; nor were vectors, for "
            "these are not known any more."
        )
        by_name = _proof(done.proof, "tables", "name") if done.person else []
        return [before, *by_name, *reach]
    loose = f" and {done.loose_faces} like them without a person" if done.loose_faces else ""
    steps = f"{counted(done.steps, 'step')} cannot be taken back any more"
    lines = [f"Erased: {counted(done.faces, 'face')}{loose}, with names and statements; {steps}."]
    for cache in done.caches:
        stay = f"; {cache.of_others} that resemble them are other people's" if cache.of_others else ""
        lines.append(f"{printable(cache.file)}: {counted(cache.faces, 'face')} removed{stay}.")
    for result in done.results:
        did = f"{counted(result.files, 'file')} removed" if exports else "not touched"
        lines.append(f"{printable(result.folder)}: {counted(result.faces, 'face')}, {did}.")
    holding = {result.folder for result in done.results}
    lines += [f"{printable(each)}: nothing of them." for each in done.searched if each not in holding]
    places = ["tables"] + [
        counted(len(found), what)
        for found, what in ((done.caches, "cache"), (done.searched, "result folder"))
        if found
    ]
    lines += _proof(done.proof, ", ".join(places), "vector and no name")
    if not done.searched:
        lines.append(
            "Result folders were not searched, for none was named and the library knows of none: give each "
            "with --results FOLDER, and what was made from a cache with --cache FILE."
        )
    return lines + reach


def _proof(proof: Result, searched: str, what: str) -> list[str]:
    if proof.is_clean:
        lines = [f"Searched {searched}: no {what} of the person is left there."]
    else:
        left = f"Left: {counted(proof.vectors_left, 'vector')} near the person's."
        lines = [left] if proof.vectors_left else []
        lines += [f"Left: the name, in {place}." for place in proof.names_left]
    for who, count in proof.of_others.items():
        lines.append(f"Similar, but not theirs: {counted(count, 'vector')} of {who}.")
    if proof.names_of_others:
        places = ", ".join(proof.names_of_others)
        lines.append(f"The name also stands where photos lie, or is part of another's: {places}.")
    return lines


def prototypes(done: Result) -> list[str]:
    """Words of `people prototypes`."""
    headings = ("person", "kind", "face", "quality", "pinned", "faces", "from", "to")
    rows = [
        (
            line.person[:8],
            line.kind,
            "-" if line.face is None else line.face,
            "-" if line.quality is None else f"{line.quality:.2f}",
            "yes" if line.pinned else "-",
            line.faces,
            line.first or "-",
            line.last or "-",
        )
        for line in done.prototypes
    ]
    lines = [table(headings, rows) if rows else "There are none yet: nobody has a face."]
    return lines + ([f"{done.did}.{how_to_undo(done.step)}"] if done.did else [])


def bodies(done: Result) -> list[str]:
    """Words of `people bodies`."""
    heading = (
        f"{name_and_number(done.name, done.person)}: {counted(done.bodies, 'body', 'bodies')} with a face, "
        f"{counted(len(done.suggested), 'photo')} on which they may be without one."
    )
    headings = ("taken", "why", "alike", "at", "photo", "like")
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
    """Words of `maintain`; briefly those of tasks that only report, or leave something to a human."""
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
