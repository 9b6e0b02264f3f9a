"""What commands on the library as a whole did, in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facesets.files import printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import GO_ON, as_before, table, would

_WHAT_IS_LOST = (
    "Some photos must be read again and are not there. Bring them back, run `facesets index`, then `facesets "
    "check --fix`; or forget them: images by `DELETE FROM images WHERE id = …;` in `facesets db psql`, paths "
    "without an image by `facesets index --prune`."
)
_NAMED = 5
_WHAT_IS_MISSING = (
    "No file of them is left, and they count nowhere. Put the files back and run `facesets index`, or erase "
    "them with their faces: `facesets check --erase-missing`."
)


def migrate(done: Result, *, status: bool, dry_run: bool) -> list[str]:
    """Words of `migrate`."""
    if status:
        rows = [(f"{m.number:04d}", m.name, m.applied_at or "pending") for m in done.migrations]
        return [table(("number", "migration", "applied (UTC)"), rows)]
    if dry_run:
        return [f"{done.database}: would apply {done.pending}."]
    if done.applied:
        return [f"{done.database}: applied {done.applied}, nothing pending."]
    return [f"{done.database} is up to date."]


def db_stop(done: Result) -> list[str]:
    """Words of `db stop`."""
    return ["The embedded server is stopped." if done.stopped else "The embedded server was not running."]


def db_backup(done: Result, *, file: Path) -> list[str]:
    """Words of `db backup`; the file is called as the user called it."""
    would = "would hold the library of" if done.dry_run else "holds"
    names = printable(", ".join(done.left_out))
    left_out = [f"Left out, because the database's user may not read it: {names}."] if names else []
    return [f"{printable(file)} {would} {done.megabytes} MB.", *left_out]


def db_restore(done: Result) -> list[str]:
    """Words of `db restore`."""
    file, names = printable(done.file), printable(", ".join(done.left_out))
    left_out = [f"Left out, because it is not the library's: {names}."] if names else []
    return [f"{file} would be restored." if done.dry_run else f"Restored {file}.", *left_out]


def db_index(done: Result) -> list[str]:
    """Words of `db index`."""
    return ["The index is built." if done.built else "The index is dropped."]


def transfer(done: Result, *, label: str) -> list[str]:
    """Words of `import-cache` and `export-cache`."""
    return [
        f"{label}: {counted(done.images, 'new image')} with {counted(done.faces, 'face')}, "
        f"{done.known} known already, {counted(done.paths, 'path')}."
        + (" Nothing was written." if done.dry_run else "")
        + (f" {GO_ON}" if done.stopped else "")
    ]


def check(done: Result, *, label: str, left: Result | None = None) -> list[str]:
    """Words of `check`; after a repair with what is `left` of it."""
    lines = [f"{problem.what}: {problem.count} ({problem.repair})" for problem in done.problems]
    if left is not None and lines:
        names = "; ".join(f"{problem.what}: {problem.count}" for problem in left.problems)
        lines.append(f"Left: {names}" if names else "All repaired.")
        lines += [f"Out of reach of forgetting: {each}." for each in done.out_of_reach]
    elif done.can_be_mended:
        lines.append("Run `facesets check --fix` to repair it.")
    if done.lost:
        lines.append(_WHAT_IS_LOST)
    lines = lines or [f"{label} is sound."]
    if done.missing:
        lines.append(f"Missing: {counted(len(done.missing), 'photo')}. {_WHAT_IS_MISSING}")
        lines += _named(done.missing)
    return lines


def check_erase_missing(plan: Result) -> list[str]:
    """Words of `check --erase-missing`, before and after it."""
    if not plan.numbers:
        return ["No photo is missing whose file is surely gone."]
    did = "Erased" if plan.erased else "To be erased for good"
    lines = [f"{did}: {photos_to_erase(plan)}.", *_named(plan.photos)]
    for person in plan.people:
        rest = f"{person.left} left" if person.left else "none is left; the name stays"
        lines.append(f"{printable(person.name)}: {counted(person.faces, 'face')}, {rest}.")
    if plan.corrections:
        lines.append("Corrections that no other face has:")
    return [*lines, *(f"  {printable(each)}" for each in plan.corrections)]


def photos_to_erase(plan: Result) -> str:
    """How much `check --erase-missing` takes."""
    versions = f" and {counted(plan.replaced, 'former version')} of photos" if plan.replaced else ""
    return f"{counted(len(plan.photos), 'photo')}{versions} with {counted(plan.faces, 'face')}"


def _named(photos: Sequence[Any]) -> list[str]:
    """The first of some photos, by where they were."""
    lines = []
    for photo in photos[:_NAMED]:
        who = f": {', '.join(map(printable, photo.people))}" if photo.people else ""
        lines.append(f"  {printable(photo.path) or photo.sha256[:16]}{who}")
    more = len(photos) - len(lines)
    return [*lines, f"  … and {more} more (--json lists all)"] if more else lines


def index(done: Result, *, label: str, dry_run: bool) -> list[str]:
    """Words of `index`; `label` is what the library is called."""
    left = f" {done.to_do} to do." if done.to_do else ""
    added = f"{counted(done.completed, 'known image')} got what was lacking, " if done.completed else ""
    line = (
        f"{label}: {counted(done.indexed, 'new image')}, "
        f"{counted(done.faces, 'new face')}, "
        f"{counted(done.embeddings, 'image')} embedded, {added}"
        f"{counted(done.aliases, 'copy', 'copies')} of known images"
        + (f" ({done.moved} moved)" if done.moved else "")
        + f", {done.unchanged} unchanged, "
        + (f"{done.ignored} ignored, " if done.ignored else "")
        + f"{done.pruned} {would(dry_run, 'forgotten', 'to forget')}, {done.failed} failed"
        f"{as_before(done.failures)}.{left}{_missing(done.missing)}"
        + (
            f" {done.assigned} given to people, {done.to_review} to be asked about."
            if done.assigned is not None
            else ""
        )
        + (" Nothing was stored." if dry_run else "")
        + (f" {GO_ON}" if done.stopped else "")
    )
    note = [done.pack_note] if done.pack_note else []
    return [line, *_passed_over(done.passed_over), *note]


def _missing(count: int) -> str:
    """That photos are missing, and where they are named; empty where none is."""
    return f" {counted(count, 'photo is', 'photos are')} missing: `facesets check`." if count else ""


def _passed_over(counts: Mapping[str, int]) -> list[str]:
    words = {"raw": "RAW file", "videos": "video", "linked_folders": "linked folder"}
    parts = [counted(counts[kind], word) for kind, word in words.items() if counts.get(kind)]
    return [f"Passed over: {', '.join(parts)}."] if parts else []


def pipeline(done: Result, *, label: str) -> list[str]:
    """Words of `pipeline`; `label` is what the library is called."""
    has_clusters = any(step.name == "dual" for step in done.steps)
    words = ("new cluster",) if has_clusters else ("new person", "new people")
    before = f" Went on at {done.went_on_at}." if done.went_on_at else ""
    left = f" {done.to_do} to do." if done.to_do else ""
    line = (
        f"{label}: {counted(done.new_images, 'new image')} with {counted(done.new_faces, 'new face')}, "
        f"{done.assigned} given to known people, {counted(done.new_people, *words)}, "
        f"{done.failed} failed.{left}{_missing(done.missing)}{before}"
    )
    totals = done.library
    if totals is not None:
        everybody = sum(count for status, count in totals.persons.items() if status != "merged")
        line += (
            f" In all {counted(totals.images, 'image')}, {counted(totals.faces, 'face')} "
            f"({totals.assigned} with a person), {people(everybody)} ({totals.named} with a name)."
        )
        if totals.questions:
            waiting = counted(totals.questions, "question waits", "questions wait")
            line += f" {waiting}: `facesets people review`."
    if done.dry_run:
        line += " Nothing was stored."
    notes = [step.summary.pack_note for step in done.steps if step.name == "index" and step.summary]
    return [line + (f" {GO_ON}" if done.stopped else ""), *filter(None, notes)]
