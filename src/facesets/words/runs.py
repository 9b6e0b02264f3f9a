"""Runs of a library in a few words, for lists of them.

What came of them may have been recorded by an earlier version, so that any figure may be missing.
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
    "people centroids": "Make centroids",
    "people forget": "Forget somebody",
    "pipeline": "Pipeline",
}
"""What the runs are called; others are called as they are typed."""


def title(command: str, options: Mapping[str, Any]) -> str:
    """What a run is called."""
    dual = command == "cluster" and options.get("method") == "dual"
    return COMMANDS.get("cluster --dual" if dual else command, command)


def outcome(command: str, summary: Mapping[str, Any]) -> list[str]:
    """Sentences about what came of it; none where that is not known."""
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
        lines.append(f"{counted(left, 'file')} left to do: the next run goes on there.")
    if summary.get("assigned") is not None:
        lines.append(
            f"{_some(summary, 'assigned', 'face')} given to people, "
            f"{_number(summary, 'to_review')} to be asked about."
        )
    return [*lines, *map(str, summary.get("away") or [])]


def _cluster(summary: Mapping[str, Any]) -> list[str]:
    review = summary.get("review")
    unsure = len(review) if isinstance(review, list) else _number(summary, "review")
    new = (
        f"{_number(summary, 'new_faces')} became {_some(summary, 'new_persons', 'new person', 'new people')}"
    )
    parts = [
        f"{_number(summary, 'kept')} had a person" if _number(summary, "kept") else "",
        f"{_number(summary, 'joined')} joined somebody known" if _number(summary, "joined") else "",
        new if _number(summary, "new_faces") else "",
        f"{_number(summary, 'alone') + unsure} stayed alone",
    ]
    lines = [f"{_some(summary, 'faces', 'face')}: {', '.join(filter(None, parts))}."]
    if regrouped := _number(summary, "regrouped"):
        lines.append(f"{counted(regrouped, 'face')} of unnamed people changed person.")
    if left_out := _number(summary, "left_out"):
        lines.append(f"{counted(left_out, 'face')} left out.")
    if questions := _number(summary, "questions"):
        lines.append(f"{counted(questions, 'question')} to review.")
    return lines


def _dual(summary: Mapping[str, Any]) -> list[str]:
    known, unknown = summary.get("known") or {}, summary.get("unknown") or {}
    lines = [
        (
            f"{counted(_number(known, 'faces'), 'face')} compared, {_number(known, 'assigned')} given to "
            f"{people(_number(known, 'people'))}."
        )
    ]
    if unknown:
        lines.append(
            f"Of {_number(unknown, 'faces')} others {counted(_number(unknown, 'clusters'), 'cluster')}, "
            f"{_number(unknown, 'noise')} in none; {counted(_number(unknown, 'questions'), 'question')} "
            "to review."
        )
    return lines


def _assign(summary: Mapping[str, Any]) -> list[str]:
    given = f"{_number(summary, 'assigned')} given to {_some(summary, 'assigned_people', 'person', 'people')}"
    asked = f"{_number(summary, 'review')} to be asked about"
    return [f"{_some(summary, 'faces', 'face')} without a person: {given}, {asked}."]


def _train(summary: Mapping[str, Any]) -> list[str]:
    verdict = summary.get("verdict")
    learnt = f"{_some(summary, 'faces', 'face')} of {_some(summary, 'people', 'person', 'people')} looked at."
    return [learnt, str(verdict)] if verdict else [learnt]


def _centroids(summary: Mapping[str, Any]) -> list[str]:
    made = (
        f"{_some(summary, 'prototypes', 'prototype')} of {_some(summary, 'people', 'person', 'people')} made"
    )
    return [f"{made}; {_number(summary, 'changed')} had others before."]


def _pipeline(summary: Mapping[str, Any]) -> list[str]:
    found = f"{_some(summary, 'new_images', 'new photo')}, {_some(summary, 'new_faces', 'new face')}"
    return [f"{found}; {_number(summary, 'assigned')} given to known people."]


def in_words(seconds: float) -> str:
    """A time as people say it."""
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
