"""What commands did that bring names in from elsewhere, or take them there, in words."""

from collections.abc import Sequence

from facesets.files import printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import GO_ON, how_to_undo

NOBODY_NAMED = "Nobody has a name to write: give somebody one with `facesets people name WHO NAME`."
_NOT_WRITTEN = " Nothing was written."
_LISTED = 10


def export_xmp(done: Result) -> list[str]:
    """Words of `export-xmp`."""
    whose = f"{people(done.people)}, {counted(done.photos, 'photo')}"
    did = f"{done.changed} changed, {done.removed} removed, {done.unchanged} unchanged"
    lines = [f"{whose}: {counted(done.new, 'sidecar')} new, {did}.{_NOT_WRITTEN if done.dry_run else ''}"]
    if done.left_behind:
        whose = "its photo is" if done.left_behind == 1 else "their photos are"
        these = counted(done.left_behind, "sidecar")
        lines.append(f"{these} changed or removed because {whose} gone or not in the library any more.")
    if done.empty:
        files = counted(
            done.empty, "of these sidecars was an empty file", "of these sidecars were empty files"
        )
        lines.append(f"{files}: a program may have been cut off writing there.")
    if done.missing:
        lines.append(f"{counted(done.missing, 'photo is', 'photos are')} not there: mounted elsewhere?")
    if done.unfit:
        lines.append(f"No names for XMP: {', '.join(map(printable, done.unfit))}.")
    if done.stopped:
        lines.append(GO_ON)
    if done.run:
        lines.append(f"Take it back with: facesets export-xmp --undo {done.run}")
    return lines


def export_xmp_undo(done: Result) -> list[str]:
    """Words of `export-xmp --undo`."""
    did = f"{done.removed} removed, {done.as_before} as before already"
    would = _NOT_WRITTEN if done.dry_run else ""
    line = f"Run {done.run}: {counted(done.restored, 'sidecar')} restored, {did}.{would}"
    return [line, *([GO_ON] if done.stopped else [])]


def sidecars_left(done: Result, *, undo: bool) -> str:
    """Words of the sidecars that `export-xmp` leaves as they are."""
    these = counted(len(done.edited), "sidecar stays as it is", "sidecars stay as they are")
    return f"{these}." + ("" if undo else " --replace writes again what is ours there.")


def folders_with_nothing(done: Result) -> list[str]:
    """Words of what `export-xmp --undo` did not find, and of what to do about it."""
    lines = []
    if done.gone:
        these = counted(done.gone, "sidecar is", "sidecars are")
        lines.append(
            f"{these} of photos that are not in the library any more, in folders with nothing in them. "
            "Is it a disk that is not mounted? Mount it, and the next export-xmp takes out what is ours."
        )
    if done.not_there:
        lines.append(
            "Is a folder emptied for good? Say so with `facesets relocate FOLDER --forget`, then take the "
            "run back again."
        )
    return lines


def import_names(done: Result) -> list[str]:
    """Words of `import-names`."""
    elsewhere = f", {done.photos_not_here} not in the library" if done.photos_not_here else ""
    lines = [
        f"{counted(done.photos, 'photo')} with names{elsewhere}: {people(done.people)} "
        f"({done.new_people} new), {counted(done.named, 'face')} named, {done.known} known." + _stored(done)
    ]
    if done.stopped:
        lines.append(GO_ON)
    if done.without_face or done.without_place:
        lines.append(
            f"{counted(done.without_face, 'name')} of places without a face, {done.without_place} of "
            "whole photos: `facesets import-names --unmatched` lists them."
        )
    if done.asked or done.answered:
        lines.append(
            f"{counted(done.asked, 'name')} of faces that are somebody else here, {done.answered} "
            "refused before: `facesets people review` asks, `facesets import-names --conflicts` lists them."
        )
    lines += [
        f"Another name? {printable(each)}. `facesets people merge` makes two people one."
        for each in done.also_called[:_LISTED]
    ]
    if done.empty:
        files = counted(done.empty, "sidecar is an empty file", "sidecars are empty files")
        lines.append(f"{files}, and passed over: a program may have been cut off writing there.")
    if done.nameless:
        lines.append(
            f"{counted(done.nameless, 'face')} of Picasa's contacts without a name here: give Picasa's "
            "contacts.xml as a source, too."
        )
    return [*lines, *_first_of("No name", done.no_names), *_first_of("Cannot be read", done.failed)]


def people_export(done: Result) -> list[str]:
    """Words of `people export`."""
    about = f"{counted(done.statements, 'statement')} about {counted(done.faces, 'face')}"
    return [f"{printable(done.file)}: {people(done.people)}, {about}."]


def people_import(done: Result) -> list[str]:
    """Words of `people import`: what was brought in, of whom nothing is here, and what was left out."""
    faces = f"{counted(done.faces, 'face')} found" + (
        f", {done.faces_not_found} not here" if done.faces_not_found else ""
    )
    lines = [
        f"{people(done.people)} ({done.new_people} new), {counted(done.names, 'new name')}; "
        f"{faces}; {counted(done.statements, 'new statement')}, {done.known} known, "
        f"{len(done.skipped)} skipped; {counted(done.moved, 'face')} moved." + _stored(done)
    ]
    if done.people_not_found:
        names, more = done.people_not_found[:_LISTED], len(done.people_not_found) - _LISTED
        lines.append(f"No face is here of {', '.join(names)}{f' and {more} more' if more > 0 else ''}.")
    skipped = [f"{each}." for each in done.skipped]
    return lines + _first_of("Skipped, for it contradicts what was said here", skipped)


def _stored(done: Result) -> str:
    return " Nothing was stored." if done.dry_run else how_to_undo(done.step)


def _first_of(title: str, found: Sequence[str]) -> list[str]:
    """The first of some findings, each below a title, and how many more there are."""
    more = [f"… and {len(found) - _LISTED} more (--json lists all)."] if len(found) > _LISTED else []
    return [f"{title}: {each}" for each in found[:_LISTED]] + more
