"""Flags of `cluster` that only some ways of grouping look at; elsewhere they are refused, not ignored."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from facesets.errors import WrongUsage
from facesets.operations.options.grouping import Method

_THRESHOLDS = ("threshold", "max_cosine_distance", "min_cosine_similarity")

_OF_DUAL = ("person_threshold", "unknown_method", "unknown_min_size", "unknown_eps")
_OF_PEOPLE = ("min_size", "min_quality", "max_faces", "time_bucket", "full")
_OF_FOLDERS = ("materialize", "sheet", "replace")

_OF_ENGINE = ("engine", "shards")

_INSTEAD_WITH_DUAL = {
    "method": "unknown_method",
    "min_size": "unknown_min_size",
    "min_cluster_size": "unknown_min_size",
    "eps": "unknown_eps",
    **dict.fromkeys(_THRESHOLDS, "person_threshold"),
}
"""What says with --dual what these say without it."""

_METHODS: dict[str, tuple[Method, ...]] = {
    "min_cluster_size": ("hdbscan",),
    "min_samples": ("hdbscan", "dbscan"),
    "eps": ("dbscan",),
    "max_faces": ("hdbscan",),
    "full": ("hdbscan",),
    "engine": ("auto", "agglomerative", "components", "dbscan"),
    "shards": ("auto", "agglomerative", "components", "dbscan"),
    "unknown_eps": ("agglomerative", "components", "dbscan"),
}
"""The methods that look at these."""


@dataclass(frozen=True, slots=True)
class Way:
    """How faces are to be grouped: into `folders`, into `people` of the library, or those `dual`.

    `method` is that in force, of the unknown with `dual`.
    """

    into: Literal["folders", "people", "dual"]
    method: Method


def refuse_idle_flags(typed: Collection[str], way: Way) -> None:
    """Refuse what was typed and would have no effect; settings are for several ways, and pass.

    Parameters
    ----------
    typed : collection of str
        Names in code of the flags on the command line.

    Raises
    ------
    WrongUsage
        There is such a flag.
    """
    for name in sorted(typed):
        why = _why_idle(name, way)
        if why:
            raise WrongUsage(why)


def _why_idle(name: str, way: Way) -> str:
    """Why a flag has no effect, and what to do; empty if it has one."""
    flag = _flag(name)
    if way.into == "folders" and name in _OF_PEOPLE:
        return f"{flag} is for people of the library: leave out CACHE and OUT, or {flag}."
    if way.into != "folders" and name in _OF_FOLDERS:
        return f"{flag} is for folders: say where to, as in `facesets cluster OUT`, or leave out {flag}."
    if way.into != "dual" and name in _OF_DUAL:
        return f"{flag} is for --dual: add --dual, or leave out {flag}."
    if way.into == "dual" and name in _INSTEAD_WITH_DUAL:
        return f"{flag} says nothing with --dual: say {_flag(_INSTEAD_WITH_DUAL[name])} instead."
    if way.into == "dual" and name in {"max_faces", "full"}:
        return f"{flag} says nothing with --dual, which keeps no hierarchy: leave it out."
    if way.into == "dual" and name in _OF_ENGINE:
        return f"{flag} says nothing with --dual, which compares faces in this process: leave it out."
    if name == "threshold" and way.into == "folders" and way.method == "components":
        return "--threshold is for --method agglomerative: say --max-cosine-distance for components."
    if name in _METHODS and way.method not in _METHODS[name]:
        by = _flag("unknown_method" if way.into == "dual" else "method")
        methods = " or ".join(_METHODS[name])
        return f"{flag} is for {by} {methods}, and this is {way.method}: change {by}, or leave out {flag}."
    return ""


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
