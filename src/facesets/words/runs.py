"""Titles and outcomes of a library's runs, for lists.

An earlier version may have recorded the outcome, so any figure may be missing.
"""

from collections.abc import Mapping
from typing import Any

from facesets.plurals import counted, people

COMMANDS = {
    "index": "Index",
    "cluster": "Cluster",
    "cluster --dual": "Cluster, known people first",
    "assign": "Assign",
    "train": "Train",
    "maintain": "Maintain",
    "relocate": "Relocate",
    "people centroids": "Recompute reference faces",
    "people forget": "Forget a person",
    "pipeline": "Pipeline",
}
"""The titles of runs; other runs are titled with their command."""


def title(command: str, options: Mapping[str, Any]) -> str:
    """Return the title of a run."""
    dual = command == "cluster" and options.get("method") == "dual"
    return COMMANDS.get("cluster --dual" if dual else command, command)


def outcome(command: str, summary: Mapping[str, Any]) -> list[str]:
    """Return sentences on the outcome of a run; none where it is not known."""
    if not summary:
        return []
    if "known" in summary and "unknown" in summary:
        return _dual(summary)
    words = {"index": _index, "cluster": _cluster, "assign": _assign, "train": _train}
    words |= {"people centroids": _centroids, "pipeline": _pipeline}
    return words[command](summary) if command in words else []


def _number(summary: Mapping[str, Any], name: str) -> int:
    value = summary.get(name)
    return value if isinstance(value, int) else 0


def _some(summary: Mapping[str, Any], name: str, one: str, many: str | None = None) -> str:
    return counted(_number(summary, name), one, many)


def _index(summary: Mapping[str, Any]) -> list[str]:
    if "chunks" in summary and "indexed" not in summary:
        queued = _some(summary, "queued", "photo")
        return [f"{queued} queued for workers; {_number(summary, 'unchanged')} unchanged."]
    lines = [
        (
            f"{_some(summary, 'indexed', 'new photo')}, {_some(summary, 'faces', 'new face')}"
            f"; {_number(summary, 'unchanged')} unchanged."
        )
    ]
    if failed := _number(summary, "failed"):
        lines.append(f"{counted(failed, 'file')} cannot be read.")
    if left := _number(summary, "to_do"):
        lines.append(f"{counted(left, 'file')} left; the next run resumes there.")
    if summary.get("assigned") is not None:
        lines.append(
            f"{_some(summary, 'assigned', 'face')} matched to people, "
            f"{_number(summary, 'to_review')} for review."
        )
    return [*lines, *map(str, summary.get("away") or [])]


def _cluster(summary: Mapping[str, Any]) -> list[str]:
    review = summary.get("review")
    unsure = len(review) if isinstance(review, list) else _number(summary, "review")
    new = f"{_number(summary, 'new_faces')} form {_some(summary, 'new_persons', 'new person', 'new people')}"
    parts = [
        f"{_number(summary, 'kept')} unchanged" if _number(summary, "kept") else "",
        f"{_number(summary, 'joined')} joined known people" if _number(summary, "joined") else "",
        new if _number(summary, "new_faces") else "",
        f"{_number(summary, 'alone') + unsure} unassigned",
    ]
    lines = [f"{_some(summary, 'faces', 'face')}: {', '.join(filter(None, parts))}."]
    if regrouped := _number(summary, "regrouped"):
        lines.append(f"{counted(regrouped, 'face')} moved between unnamed people.")
    if left_out := _number(summary, "left_out"):
        lines.append(f"{counted(left_out, 'face')} rejected.")
    if questions := _number(summary, "questions"):
        lines.append(f"{counted(questions, 'suggestion')} to review.")
    return lines


def _dual(summary: Mapping[str, Any]) -> list[str]:
    known, unknown = summary.get("known") or {}, summary.get("unknown") or {}
    lines = [
        (
            f"{counted(_number(known, 'faces'), 'face')} compared, {_number(known, 'assigned')} matched to "
            f"{people(_number(known, 'people'))}."
        )
    ]
    if unknown:
        lines.append(
            f"{_number(unknown, 'faces')} unmatched: {counted(_number(unknown, 'clusters'), 'cluster')}, "
            f"{_number(unknown, 'noise')} unassigned; {counted(_number(unknown, 'questions'), 'suggestion')} "
            "to review."
        )
    return lines


def _assign(summary: Mapping[str, Any]) -> list[str]:
    of = _some(summary, "assigned_people", "person", "people")
    matched = f"{_number(summary, 'assigned')} matched to {of}"
    return [
        f"{_some(summary, 'faces', 'unassigned face')}: {matched}, {_number(summary, 'review')} for review."
    ]


def _train(summary: Mapping[str, Any]) -> list[str]:
    verdict = summary.get("verdict")
    used = f"Trained on {_some(summary, 'faces', 'face')} of {_some(summary, 'people', 'person', 'people')}."
    return [used, str(verdict)] if verdict else [used]


def _centroids(summary: Mapping[str, Any]) -> list[str]:
    of = _some(summary, "people", "person", "people")
    made = f"Recomputed {_some(summary, 'prototypes', 'reference face')} of {of}"
    return [f"{made}; {_number(summary, 'changed')} changed."]


def _pipeline(summary: Mapping[str, Any]) -> list[str]:
    found = f"{_some(summary, 'new_images', 'new photo')}, {_some(summary, 'new_faces', 'new face')}"
    return [f"{found}; {_number(summary, 'assigned')} matched to known people."]


def in_words(seconds: float) -> str:
    """Return a duration in words."""
    whole = round(seconds)
    if whole < 1:
        return "less than 1 s"
    if whole < 60:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
