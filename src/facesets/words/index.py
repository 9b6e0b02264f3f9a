"""What `index` and `pipeline` did, in words."""

from collections.abc import Mapping

from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import GO_ON, as_before, would


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
