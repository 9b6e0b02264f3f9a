"""Summaries of the commands that write result folders and face sets."""

from pathlib import Path

from facesets.errors import Command
from facesets.files import PAGES, PEOPLE, RUN_CACHE, SETS, printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import by_gate, learned_lines, local_time, would


def cluster(done: Result) -> list[str]:
    """Return the summary of `cluster` into a folder; how faces were grouped is printed with -v only."""
    if not done.grouped:
        return list(done.reasons)
    found = (
        f"{counted(done.images, 'photo')} with {counted(done.faces, 'face')}: {people(done.persons)}, "
        f"{counted(done.singletons, 'face')} unassigned, {counted(done.no_face, 'photo')} without a face."
    )
    changed = [done.method_changed] if done.method_changed else []
    return [found, *changed, photos_line(done), *learned_lines(done.learned)]


def refine(done: Result, *, cache: Path | None) -> list[str]:
    """Return the summary of `refine`."""
    return [
        f"{counted(done.faces, 'face')}: {counted(done.facesets, 'face set')} "
        f"with {counted(done.kept, 'face')}, {done.dropped} rejected"
        + (f" ({by_gate(done.dropped_by)})." if done.dropped_by else "."),
        photos_line(done),
        *_hint_lines(done, cache, Path(done.out)),
        *learned_lines(done.learned),
    ]


def photos_line(done: Result) -> str:
    """Return what happened to the photos in OUT."""
    renamed = f" ({done.renamed} {would(done.dry_run, 'renamed', 'to rename')})" if done.renamed else ""
    written = f"{counted(done.copied, 'photo')} {would(done.dry_run, 'written', 'to write')}"
    removed = f"{done.removed} {would(done.dry_run, 'removed', 'to remove')}"
    return f"{printable(done.out)}: {written}, {done.unchanged} unchanged{renamed}, {removed}."


def _hint_lines(done: Result, cache: Path | None, out: Path) -> list[str]:
    """Return what the quality filters reject, and the command that would keep the most."""
    if not done.hint:
        return []
    places = [printable(path) for path in (cache, out) if path is not None]
    again = Command("refine", *places, *" ".join(done.try_flags).split())
    return [done.hint, *([f"  {again.line}"] if done.try_flags else [])]


def extend(done: Result) -> list[str]:
    """Return the summary of `extend`."""
    lines = _extended_lines(done.raw, ("person", "people"), "unassigned", dry_run=done.dry_run)
    if done.sets:
        lines += _extended_lines(done.sets, ("face set", "face sets"), "rejected", dry_run=done.dry_run)
    return lines


def _extended_lines(done: Result, what: tuple[str, str], alone: str, *, dry_run: bool) -> list[str]:
    lines = [
        f"{printable(done.out)}: {counted(done.new, 'new face')}: {sum(done.joined.values())} joined "
        f"{counted(len(done.joined), *what)}, {sum(done.made.values())} are in "
        f"{counted(len(done.made), f'new {what[0]}', f'new {what[1]}')}, "
        f"{done.alone} {alone}" + (f" ({by_gate(done.dropped_by)})." if done.dropped_by else "."),
        f"  {counted(len(done.written), 'photo')} {would(dry_run, 'written', 'to write')}, "
        f"{done.unchanged} unchanged."
        + (f" To undo: {Command('undo', printable(done.out), done.run).line}" if done.run else ""),
        *learned_lines(done.learned),
    ]
    if dry_run:
        lines += [f"  {printable(name)}: {counted(count, 'face')}" for name, count in done.joined.items()]
        lines += [f"  {printable(name)} (new): {counted(count, 'face')}" for name, count in done.made.items()]
        lines += [f"  + {printable(name)}" for name in done.written]
    return lines


def run(done: Result) -> list[str]:
    """Return the summary of `run`."""
    out = Path(done.out)
    if done.dry_run:
        to_do = counted(done.to_do, "photo")
        return [f"{to_do} to add from {printable(done.photos)}. Results would go to {printable(out)}."]
    if not done.index:
        return [f"Added {counted(done.new_images, 'photo')}."]
    counts = (
        people(done.persons),
        f"{counted(done.singletons, 'face')} unassigned",
        f"{counted(done.no_face, 'photo')} without a face",
        counted(done.facesets, "face set"),
    )
    lines = [f"{counted(done.images, 'photo')} with {counted(done.faces, 'face')}: {', '.join(counts)}."]
    if done.joined or done.copies:
        new = [counted(done.new_images, "photo")] if done.new_images or not done.copies else []
        new += [counted(done.copies, "copy of a photo", "copies of photos")] if done.copies else []
        joined = f": {counted(done.joined, 'face')} joined known people" if done.joined else ""
        lines.append(f"Added {' and '.join(new)}{joined}.")
    if done.gone:
        relocate = Command("relocate", "OLD", "NEW", printable(out / RUN_CACHE))
        which = counted(done.gone, "of these photos is", "of these photos are")
        lines.append(
            f"{which} no longer in {printable(done.photos)}; {printable(out)} keeps its copies. If you moved "
            f"them, run `{relocate.line}`. To remove them from the results, delete {printable(out / PEOPLE)} "
            f"and {printable(out / SETS)} and run the same command again. "
            "Names are kept; other corrections are lost."
        )
    lines += [*learned_lines(done.learned), *_hint_lines(done, out / RUN_CACHE, out / SETS)]
    if done.unreadable:
        failed = printable(out / PAGES / "failed.html")
        lines.append(f"{counted(done.unreadable, 'file')} cannot be read: {failed}")
    if done.sheet:
        lines.append(f"Contact sheet: {printable(done.sheet)}")
    return [*lines, f"Open {printable(done.index)} in a browser."]


_DID = {
    "cluster": "faces grouped into people",
    "refine": "face sets made",
    "extend": "new photos and your changes taken in",
    "export-swap": "face sets exported",
    "discover": "new people exported",
    "import-folders": "sorted folders exported",
    "split-eras": "a face set split by era",
}


def runs(known: Result) -> list[str]:
    """Return the runs that `undo` lists."""
    return [*map(_run_line, known.runs)] or [f"{printable(known.out)}: no run to undo."]


def _run_line(run: Result) -> str:
    when = local_time(run.began) if run.began else "time unknown"
    did = f", {_DID[run.command]}" if run.command in _DID else ""
    cut = "" if run.complete else " (undo interrupted)" if run.half_undone else " (interrupted)"
    also = f"; also {', '.join(map(printable, run.also))}" if run.also else ""
    return (
        f"{run.run}: {when}{did}: {counted(run.made, 'file')} created, {run.replaced} replaced, "
        f"{run.removed} removed{cut}{also}"
    )


def undo(done: Result, *, aside: str) -> list[str]:
    """Return the summary of `undo`; `aside` is the folder of photos whose originals are gone."""
    return [line for folder in done.folders for line in _undone_lines(folder, done, aside)]


def _undone_lines(folder: Result, done: Result, aside: str) -> list[str]:
    restored = f"{counted(len(folder.restored), 'file')} {would(done.dry_run, 'restored', 'to restore')}"
    removed = f"{len(folder.removed)} {would(done.dry_run, 'removed', 'to remove')}"
    lines = [f"{printable(folder.folder)}: {restored} to the state before {done.run}, {removed}."]
    if folder.set_aside:
        one = f"photo without its original {would(done.dry_run, 'is', 'would be')}"
        many = f"photos without their originals {would(done.dry_run, 'are', 'would be')}"
        lines.append(
            f"{counted(len(folder.set_aside), one, many)} kept in {printable(Path(folder.folder) / aside)}. "
            "Changes made by `relocate` are not undone."
        )
    if count := len(folder.stay_deleted):
        one, many = "file that you have deleted stays", "files that you have deleted stay"
        lines.append(f"{counted(count, one, many)} deleted.")
    if count := len(folder.elsewhere):
        one, many = "file of this run has been moved and stays", "files of this run have been moved and stay"
        lines.append(f"{counted(count, one, many)} where you put them.")
    lines += [f"{printable(link)} is a link; its target stays as it is." for link in folder.links]
    return lines
