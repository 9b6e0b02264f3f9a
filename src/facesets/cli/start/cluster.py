"""`facesets cluster` and `facesets refine`: how faces become people, and clean face sets of them."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from facesets import settings
from facesets.cli import console, queueing
from facesets.cli.flags import Only, options_of, typed_flags, unless_given
from facesets.cli.opening import work_on_store
from facesets.cli.params import (
    CacheOrOutArgument,
    DatabaseOption,
    MaxCosineDistanceOption,
    MinCosineSimilarityOption,
    OutIfCacheArgument,
    cache_and_out,
    given_threshold,
)
from facesets.errors import Command, Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.grouping import EngineOptions, Method
from facesets.operations.options.people import ClusterLibraryOptions, DualOptions
from facesets.operations.options.start import ClusterOptions, RefineOptions
from facesets.result import Result
from facesets.words import results

_Into: TypeAlias = Literal["folders", "people", "dual"]
"""Where results go: folders, people of the library, or the library with `--dual`."""

_CASES_SHOWN = 20
_SHARED = ("min_cluster_size", "min_samples", "eps", "same_image_ok", "dry_run")
_THRESHOLDS = ("threshold", "max_cosine_distance", "min_cosine_similarity")

# Flags that apply only in some cases; in others they are refused, not ignored.
_DUAL_FLAGS = ("person_threshold", "unknown_method", "unknown_min_size", "unknown_eps")
_LIBRARY_FLAGS = ("min_size", "min_quality", "max_faces", "time_bucket", "full")
_FOLDER_FLAGS = ("materialize", "sheet", "replace")
_ENGINE_FLAGS = ("engine", "shards")

_INSTEAD_WITH_DUAL = {
    "method": "unknown_method",
    "min_size": "unknown_min_size",
    "min_cluster_size": "unknown_min_size",
    "eps": "unknown_eps",
    **dict.fromkeys(_THRESHOLDS, "person_threshold"),
}
"""Options with --dual that replace these options without it."""

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
"""The methods that read each option."""


def _refuse_idle_flags(typed: Collection[str], into: _Into, method: Method) -> None:
    """Refuse typed flags that would have no effect; settings are shared by methods, and pass.

    Raises `WrongUsage`. `method` is the method in use; with `--dual`, that for unknown faces.
    """
    for name in sorted(typed):
        why = _why_idle(name, into, method)
        if why:
            raise WrongUsage(why)


def _why_idle(name: str, into: _Into, method: Method) -> str:
    """Explain why a flag has no effect, and what to do; empty if it has one."""
    flag = Field(name).flag
    if into == "folders" and name in _LIBRARY_FLAGS:
        return f"{flag} applies to the library: omit CACHE and OUT, or omit {flag}."
    if into != "folders" and name in _FOLDER_FLAGS:
        return f"{flag} applies to result folders: give OUT, as in `facesets cluster OUT`, or omit {flag}."
    if into != "dual" and name in _DUAL_FLAGS:
        return f"{flag} requires --dual: add --dual, or omit {flag}."
    if into == "dual" and name in _INSTEAD_WITH_DUAL:
        return f"{flag} has no effect with --dual: use {Field(_INSTEAD_WITH_DUAL[name]).flag} instead."
    if into == "dual" and name in {"max_faces", "full"}:
        return f"{flag} has no effect with --dual, which keeps no hierarchy: omit it."
    if into == "dual" and name in _ENGINE_FLAGS:
        return f"{flag} has no effect with --dual, which compares faces in this process: omit it."
    if name == "threshold" and into == "folders" and method == "components":
        return "--threshold requires --method agglomerative: use --max-cosine-distance with components."
    if name in _METHODS and method not in _METHODS[name]:
        by = Field("unknown_method" if into == "dual" else "method").flag
        methods = " or ".join(_METHODS[name])
        return f"{flag} requires {by} {methods}, but the method is {method}: change {by}, or omit {flag}."
    return ""


MethodOption = Annotated[
    Method | None,
    Option(
        "How to group.",
        unset=f"{ClusterOptions().method}; with a threshold agglomerative, "
        "for people of the library components",
    ),
]
ThresholdOption = Annotated[
    str | None,
    Option(
        "With OUT a cosine distance, in the library a cosine similarity; auto measures one on the faces.",
        metavar="N|auto",
    ),
]


def cluster(
    context: typer.Context,
    first: Annotated[
        Path | None,
        typer.Argument(metavar="[CACHE]", help="The cache file. [default: the library]", show_default=False),
    ] = None,
    second: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT]",
            help="The result folder. [default: the library's people]",
            show_default=False,
        ),
    ] = None,
    method: MethodOption = None,
    max_cosine_distance: MaxCosineDistanceOption = None,
    min_cosine_similarity: MinCosineSimilarityOption = None,
    threshold: ThresholdOption = None,
    database: DatabaseOption = None,
    *,
    library: Annotated[ClusterLibraryOptions, Only(*_LIBRARY_FLAGS)],
    dual: DualOptions,
    folders: Annotated[ClusterOptions, Only(*_SHARED[:-1], *_FOLDER_FLAGS, "dry_run")],
    workers: EngineOptions,
) -> None:
    """Group faces into people.

    With CACHE and OUT, its faces go into folders, OUT/person_001 and so on; with OUT alone, those of the
    library. Without either, the library's unassigned faces join known people or become new ones, and
    unnamed people may be merged or split. Run it again after each `index`. With --dual, faces join known
    people, and the others become clusters that `people name` and `people review` make people of.
    """
    typed = typed_flags(context)
    threshold_given = given_threshold(context.params, typed)
    if "shards" in typed and workers.engine is None:
        raise WrongUsage("--shards requires --engine: give --engine, or omit --shards.")
    if first is None:
        options = _with_shared(library, folders).chosen(method, threshold_given)
        grouped_by = dual.unknown_method if dual.dual else options.method
        _refuse_idle_flags(typed, "dual" if dual.dual else "people", grouped_by)
        options = unless_given(context, options, _of_hierarchy(grouped_by))
        if dual.dual:
            queueing.begin("cluster --dual", database, options=options, dual=dual)
        elif done := queueing.begin("cluster", database, options=options, workers=workers):
            _remark_on_review(done)
        console.finish()
        return
    queueing.refuse("`cluster` with OUT writes a result folder here.")
    if dual.dual:
        raise WrongUsage("--dual applies to the library: omit CACHE and OUT.")
    cache, out = (None, first) if second is None else (first, second)
    if cache is None and (first.is_file() or first.suffix == ".npz"):
        raise WrongUsage(f"Missing OUT. Usage: {Command('cluster', printable(first), 'OUT')}.")
    chosen = folders.chosen(method, threshold_given)
    _refuse_idle_flags(typed, "folders", chosen.method)
    _cluster_into_folders(cache, database, out, chosen, workers)


def _with_shared(library: ClusterLibraryOptions, folders: ClusterOptions) -> ClusterLibraryOptions:
    """Return the options for people of the library, with those shared with folders."""
    return dataclasses.replace(library, **{name: getattr(folders, name) for name in _SHARED})


def configured_grouping(context: typer.Context, *, dual: bool) -> tuple[ClusterLibraryOptions, DualOptions]:
    """Return how faces of the library are grouped without flags.

    Parameters
    ----------
    context : typer.Context
        Context of `cluster`, without flags.
    dual : bool
        Whether for `--dual`.
    """
    flags = context.params
    of_dual = dataclasses.replace(options_of(DualOptions, flags), dual=dual)
    folders = dataclasses.replace(options_of(ClusterOptions, flags), dry_run=False)
    options = _with_shared(options_of(ClusterLibraryOptions, flags), folders)
    options = options.chosen(flags["method"], given_threshold(flags))
    by = of_dual.unknown_method if dual else options.method
    return unless_given(context, options, _of_hierarchy(by)), of_dual


def _of_hierarchy(method: Method) -> dict[str, int]:
    """Return the defaults of the library's saved hierarchy, which differ from those of folders."""
    if method != "hdbscan":
        return {}
    defaults = ClusterLibraryOptions()
    return {"min_cluster_size": defaults.min_cluster_size, "min_samples": defaults.min_samples}


def _cluster_into_folders(
    cache: Path | None, database: str | None, out: Path, options: ClusterOptions, workers: EngineOptions
) -> None:
    from facesets.assembly.commands import open_engine
    from facesets.operations.grouping.cluster import cluster as run

    with (
        work_on_store(cache, database) as (store, work),
        open_engine(workers.for_method(options.method), settings.load()) as engine,
    ):
        done = run(store, out, options, work=work, engine=engine)
    for line in done.reasons if done.grouped else ():
        console.detail(line)
    console.report(done, results.cluster(done))


def _remark_on_review(done: Result) -> None:
    """Name faces that are similar to several people."""
    for case in done.review[:_CASES_SHOWN]:
        likely = ", ".join(
            f"{person} ({similarity:.2f})"
            for person, similarity in zip(case.persons, case.cosine_similarity, strict=True)
        )
        console.remark(f"  face {case.face} is similar to several people: {likely}")
    if len(done.review) > _CASES_SHOWN:
        console.remark(f"  … and {len(done.review) - _CASES_SHOWN} more (--json lists all)")


def refine(
    first: CacheOrOutArgument,
    second: OutIfCacheArgument = None,
    database: DatabaseOption = None,
    *,
    options: RefineOptions,
) -> None:
    """Make face sets: only sharp, large, confident faces.

    Writes OUT/faceset_001 and so on. refine_manifest.json gives the reason for every rejected face.
    """
    from facesets.operations.grouping.refine import refine as run

    cache, out = cache_and_out("refine", first, second)
    with work_on_store(cache, database) as (store, work):
        done = run(store, out, options, work=work)
    console.report(done, results.refine(done, cache=cache))
