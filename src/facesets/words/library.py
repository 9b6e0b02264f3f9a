"""Summaries of the commands on the whole library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facesets.files import printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import RESUME_HINT, as_before, table, would

_LOSS_NOTE = (
    "Some photos must be read again, but their files are missing. Restore the files, then run "
    "`facesets index` "
    "and `facesets check --fix`. Or remove them: photos with `DELETE FROM images WHERE id = …;` in `facesets "
    "db psql`, paths without a photo with `facesets index --prune`."
)
_NAMED = 5
_MISSING_NOTE = (
    "They have no file left and are not counted. Restore the files and run `facesets index`, or erase the "
    "photos and their faces with `facesets check --erase-missing`."
)


def migrate(done: Result, *, status: bool, dry_run: bool) -> list[str]:
    """Summarise `migrate`."""
    if status:
        rows = [(f"{m.number:04d}", m.name, m.applied_at or "pending") for m in done.migrations]
        return [table(("number", "migration", "applied (UTC)"), rows)]
    if dry_run:
        return [f"Would apply {done.pending} to {done.database}."]
    if done.applied:
        return [f"Applied {done.applied} to {done.database}; nothing is pending."]
    return [f"{done.database} is up to date."]


def db_stop(done: Result) -> list[str]:
    """Summarise `db stop`."""
    return ["Stopped the embedded server." if done.stopped else "The embedded server was not running."]


def db_backup(done: Result, *, file: Path) -> list[str]:
    """Summarise `db backup`, with the file as the user named it."""
    did = "Would back up" if done.dry_run else "Backed up"
    names = printable(", ".join(done.left_out))
    left_out = [f"Skipped because the database user has no read access: {names}."] if names else []
    return [f"{did} the library to {printable(file)} ({done.megabytes} MB).", *left_out]


def db_restore(done: Result) -> list[str]:
    """Summarise `db restore`."""
    file, names = printable(done.file), printable(", ".join(done.left_out))
    left_out = [f"Skipped because it does not belong to the library: {names}."] if names else []
    return [f"Would restore {file}." if done.dry_run else f"Restored {file}.", *left_out]


def db_index(done: Result) -> list[str]:
    """Summarise `db index`."""
    return ["Built the index." if done.built else "Dropped the index."]


def transfer(done: Result, *, label: str) -> list[str]:
    """Summarise `import-cache` and `export-cache`."""
    return [
        f"{would(done.dry_run, 'Copied', 'Would copy')} {counted(done.images, 'photo')} with "
        f"{counted(done.faces, 'face')} to {label} ({counted(done.paths, 'path')}); {done.known} "
        "already there."
        + (" Nothing was written." if done.dry_run else "")
        + (f" {RESUME_HINT}" if done.stopped else "")
    ]


def check(done: Result, *, label: str, left: Result | None = None) -> list[str]:
    """Summarise `check`; `left` is what a repair could not fix."""
    lines = [f"{problem.what}: {problem.count} ({problem.repair})" for problem in done.problems]
    if left is not None and lines:
        names = "; ".join(f"{problem.what}: {problem.count}" for problem in left.problems)
        lines.append(f"Not repaired: {names}" if names else "Everything is repaired.")
        lines += [f"Out of reach of forgetting: {each}." for each in done.out_of_reach]
    elif done.can_be_mended:
        lines.append("Run `facesets check --fix` to repair it.")
    if done.lost:
        lines.append(_LOSS_NOTE)
    lines = lines or [f"No problems found in {label}."]
    if done.missing:
        lines.append(f"Missing: {counted(len(done.missing), 'photo')}. {_MISSING_NOTE}")
        lines += _named(done.missing)
    return lines


def check_erase_missing(plan: Result) -> list[str]:
    """Summarise what `check --erase-missing` will erase or has erased."""
    if not plan.numbers:
        return ["No missing photo has certainly lost its file."]
    did = "Erased" if plan.erased else "Will be permanently erased"
    lines = [f"{did}: {photos_to_erase(plan)}.", *_named(plan.photos)]
    for person in plan.people:
        rest = f"{person.left} left" if person.left else "none left; the name stays"
        lines.append(f"{printable(person.name)}: {counted(person.faces, 'face')}, {rest}.")
    if plan.corrections:
        lines.append("Corrections that apply to no other face:")
    return [*lines, *(f"  {printable(each)}" for each in plan.corrections)]


def photos_to_erase(plan: Result) -> str:
    """Count the photos and faces that `check --erase-missing` erases."""
    versions = f" and {counted(plan.replaced, 'old version')} of photos" if plan.replaced else ""
    return f"{counted(len(plan.photos), 'photo')}{versions} with {counted(plan.faces, 'face')}"


def _named(photos: Sequence[Any]) -> list[str]:
    """List the first of some photos by their last known path."""
    lines = []
    for photo in photos[:_NAMED]:
        names = f": {', '.join(map(printable, photo.people))}" if photo.people else ""
        lines.append(f"  {printable(photo.path) or photo.sha256[:16]}{names}")
    more = len(photos) - len(lines)
    return [*lines, f"  … and {more} more (--json lists all)"] if more else lines


def index(done: Result, *, label: str, dry_run: bool) -> list[str]:
    """Summarise `index`; `label` names the library."""
    if dry_run:
        first = f"{counted(done.to_do, 'file')} to read for {label}"
    else:
        first = f"Added {counted(done.indexed, 'photo')} with {counted(done.faces, 'face')} to {label}"
    left = f" {counted(done.to_do, 'file')} left to do." if done.to_do and not dry_run else ""
    line = (
        f"{first}. {_details(done, dry_run=dry_run)}{left}{_missing(done.missing)}"
        + (
            f" {counted(done.assigned, 'face')} matched to people, {done.to_review} for review."
            if done.assigned is not None
            else ""
        )
        + (" Nothing was stored." if dry_run else "")
        + (f" {RESUME_HINT}" if done.stopped else "")
    )
    note = [done.pack_note] if done.pack_note else []
    return [line, *_passed_over(done.passed_over), *note]


def _details(done: Result, *, dry_run: bool) -> str:
    """Say what else `index` did, as one sentence without zeros; unchanged files are always counted."""
    moved = f" ({done.moved} moved)" if done.moved else ""
    parts = [
        (done.completed, f"{counted(done.completed, 'known photo')} completed"),
        (done.embeddings, f"{counted(done.embeddings, 'photo')} embedded"),
        (done.aliases, counted(done.aliases, "copy of a known photo", "copies of known photos") + moved),
        (True, f"{done.unchanged} unchanged"),
        (done.ignored, f"{done.ignored} ignored"),
        (done.pruned, f"{counted(done.pruned, 'missing file')} {would(dry_run, 'removed', 'to remove')}"),
        (done.failed, f"{done.failed} failed{as_before(done.failures)}"),
    ]
    return ", ".join(text for count, text in parts if count) + "."


def _missing(count: int) -> str:
    """Say that photos are missing; empty if none are."""
    photos = counted(count, "photo is", "photos are")
    return f" {photos} missing: `facesets check` lists them." if count else ""


def _passed_over(counts: Mapping[str, int]) -> list[str]:
    words = {"raw": "RAW file", "videos": "video", "linked_folders": "linked folder"}
    parts = [counted(counts[kind], word) for kind, word in words.items() if counts.get(kind)]
    return [f"Skipped: {', '.join(parts)}."] if parts else []


def pipeline(done: Result, *, label: str) -> list[str]:
    """Summarise `pipeline`; `label` names the library."""
    has_clusters = any(step.name == "dual" for step in done.steps)
    words = ("new cluster",) if has_clusters else ("new person", "new people")
    before = f" Resumed at {done.went_on_at}." if done.went_on_at else ""
    failed = f", {done.failed} failed" if done.failed else ""
    left = f" {counted(done.to_do, 'file')} left to do." if done.to_do else ""
    line = (
        f"Added {counted(done.new_images, 'photo')} with {counted(done.new_faces, 'face')} to {label}: "
        f"{done.assigned} matched to known people, {counted(done.new_people, *words)}{failed}."
        f"{left}{_missing(done.missing)}{before}"
    )
    totals = done.library
    if totals is not None:
        total = sum(count for status, count in totals.persons.items() if status != "merged")
        line += (
            f" In total {counted(totals.images, 'photo')}, {counted(totals.faces, 'face')} "
            f"({totals.assigned} assigned), {people(total)} ({totals.named} named)."
        )
        if totals.questions:
            line += f" {counted(totals.questions, 'suggestion')} for review: `facesets people review`."
    if done.dry_run:
        line += " Nothing was stored."
    notes = [step.summary.pack_note for step in done.steps if step.name == "index" and step.summary]
    return [line + (f" {RESUME_HINT}" if done.stopped else ""), *filter(None, notes)]
