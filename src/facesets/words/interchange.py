"""Summaries of the commands that import and export names."""

from collections.abc import Sequence

from facesets.files import printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import RESUME_HINT, how_to_undo

NO_NAMED_PEOPLE = "There are no named people to export. Name one with `facesets people name WHO NAME`."
_NOT_WRITTEN = " Nothing was written."
_LISTED = 10


def export_xmp(done: Result) -> list[str]:
    """Summarise `export-xmp`."""
    about = f"{people(done.people)}, {counted(done.photos, 'photo')}"
    did = f"{done.changed} changed, {done.removed} removed, {done.unchanged} unchanged"
    lines = [f"{about}: {counted(done.new, 'new sidecar')}, {did}.{_NOT_WRITTEN if done.dry_run else ''}"]
    if done.left_behind:
        photos = "its photo is" if done.left_behind == 1 else "their photos are"
        these = counted(done.left_behind, "sidecar")
        lines.append(f"Changed or removed {these} because {photos} missing or no longer in the library.")
    if done.empty:
        files = counted(done.empty, "of these sidecars was empty", "of these sidecars were empty")
        lines.append(f"{files}: a program may have been interrupted while writing.")
    if done.missing:
        lines.append(
            f"{counted(done.missing, 'photo is', 'photos are')} not available. Check that the drive "
            "is mounted."
        )
    if done.unfit:
        lines.append(f"Names that XMP cannot store: {', '.join(map(printable, done.unfit))}.")
    if done.stopped:
        lines.append(RESUME_HINT)
    if done.run:
        lines.append(f"Undo with: facesets export-xmp --undo {done.run}")
    return lines


def export_xmp_undo(done: Result) -> list[str]:
    """Summarise `export-xmp --undo`."""
    did = f"{done.removed} removed, {done.as_before} already as before"
    end = _NOT_WRITTEN if done.dry_run else ""
    line = f"Run {done.run}: {counted(done.restored, 'sidecar')} restored, {did}.{end}"
    return [line, *([RESUME_HINT] if done.stopped else [])]


def sidecars_left(done: Result, *, undo: bool) -> str:
    """Describe the sidecars that `export-xmp` leaves unchanged."""
    these = counted(len(done.edited), "sidecar was", "sidecars were")
    return f"{these} left unchanged." + (
        "" if undo else " To rewrite the part made by facesets, add --replace."
    )


def folders_with_nothing(done: Result) -> list[str]:
    """Describe what `export-xmp` did not find, and what to do about it."""
    lines = []
    if done.gone:
        these = counted(done.gone, "sidecar is", "sidecars are")
        lines.append(
            f"{these} in empty folders, for photos that are no longer in the library. If the disk is not "
            "mounted, mount it: the next export-xmp removes what facesets wrote."
        )
    if done.not_there:
        lines.append(
            "If a folder was emptied for good, run `facesets relocate FOLDER --forget`, then undo "
            "the run again."
        )
    return lines


def import_names(done: Result) -> list[str]:
    """Summarise `import-names`."""
    elsewhere = f", {done.photos_not_here} not in the library" if done.photos_not_here else ""
    lines = [
        f"{counted(done.photos, 'photo')} with names{elsewhere}: {people(done.people)} "
        f"({done.new_people} new), {counted(done.named, 'face')} named, {done.known} already known."
        + _stored(done)
    ]
    if done.stopped:
        lines.append(RESUME_HINT)
    if done.without_face or done.without_place:
        lines.append(
            f"{counted(done.without_face, 'name')} for places without a detected face, {done.without_place} "
            "for whole photos: `facesets import-names --unmatched` lists them."
        )
    if done.asked or done.answered:
        lines.append(
            f"{counted(done.asked, 'name')} for faces assigned to another person, {done.answered} rejected "
            "before: decide with `facesets people review`, or list them with `facesets import-names "
            "--conflicts`."
        )
    lines += [
        f"Possibly the same person: {printable(each)}. Join them with `facesets people merge`."
        for each in done.also_called[:_LISTED]
    ]
    if done.empty:
        files = counted(done.empty, "empty sidecar was", "empty sidecars were")
        lines.append(f"{files} skipped: a program may have been interrupted while writing.")
    if done.nameless:
        lines.append(
            f"{counted(done.nameless, 'face')} of Picasa contacts without a name. Give Picasa's contacts.xml "
            "as a source, too."
        )
    return [*lines, *_first_of("Invalid name", done.no_names), *_first_of("Cannot read", done.failed)]


def people_export(done: Result) -> list[str]:
    """Summarise `people export`."""
    about = f"{counted(done.statements, 'correction')} for {counted(done.faces, 'face')}"
    return [f"Exported {people(done.people)} with {about} to {printable(done.file)}."]


def people_import(done: Result) -> list[str]:
    """Summarise `people import`: what was imported, not found, and skipped."""
    faces = f"{counted(done.faces, 'face')} found" + (
        f", {done.faces_not_found} not found" if done.faces_not_found else ""
    )
    lines = [
        f"{people(done.people)} ({done.new_people} new), {counted(done.names, 'new name')}; "
        f"{faces}; {counted(done.statements, 'new correction')}, {done.known} already known, "
        f"{len(done.skipped)} skipped; {counted(done.moved, 'face')} moved." + _stored(done)
    ]
    if done.people_not_found:
        names, more = done.people_not_found[:_LISTED], len(done.people_not_found) - _LISTED
        lines.append(
            f"People without a face here: {', '.join(names)}{f' and {more} more' if more > 0 else ''}."
        )
    skipped = [f"{each}." for each in done.skipped]
    return lines + _first_of("Skipped because it contradicts a correction here", skipped)


def _stored(done: Result) -> str:
    return " Nothing was stored." if done.dry_run else how_to_undo(done.step)


def _first_of(title: str, found: Sequence[str]) -> list[str]:
    """List the first of some findings, each after a title, and count the rest."""
    more = [f"… and {len(found) - _LISTED} more (--json lists all)."] if len(found) > _LISTED else []
    return [f"{title}: {each}" for each in found[:_LISTED]] + more
