"""Calls that start a run: detection in one photo, clustering, matching, training, indexing."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import JSONResponse

from facesets.assembly.commands import VERBS
from facesets.assembly.indexing import index_again
from facesets.assembly.stores import LibraryWork
from facesets.errors import NotFound
from facesets.files import printable
from facesets.operations.library.findings import Looked, look_again
from facesets.operations.options.grouping import EngineOptions
from facesets.operations.options.people import AssignOptions, ClusterLibraryOptions, DualOptions
from facesets.operations.options.upkeep import TrainOptions
from facesets.result import Result
from facesets.store.postgres.library import Library
from facesets.store.postgres.runs import IndexedFolder, indexed_folders
from facesets.web.api import run_shapes as shapes
from facesets.web.api.faces import AssetId
from facesets.web.api.run_shapes import Queued
from facesets.web.api.shapes import Shape
from facesets.web.background import JobNotices, JobProgress, Work
from facesets.web.site import Site, SiteDep
from facesets.work import Stop

router = APIRouter(tags=["runs"])

_QUEUED: dict[int | str, dict[str, Any]] = {202: {"model": Queued, "description": "The job was started."}}


def _answer(
    site: Site, asked: shapes.Queueable, what: str, kind: type[shapes.Answer], do: Work
) -> JSONResponse | shapes.Answer:
    """Run a job and return its result; or start it, and return its ID."""
    if asked.queue:
        begun = site.jobs.start(what, do)
        return JSONResponse(Queued(job_id=begun.id).model_dump(by_alias=True), HTTPStatus.ACCEPTED)
    job = site.jobs.run(what, do)
    return kind.of(Result(job.summary, status="stopped" if job.status == "stopped" else "completed"))


def _library_work(site: Site, run: Callable[..., Any], **given: Any) -> Work:
    """Wrap a function of the library as a job with its own session."""

    def work(progress: JobProgress, stop: Stop) -> Any:
        with site.sessions.own() as session:
            progress.of_session(session)
            surroundings = LibraryWork(
                library=Library(session),
                settings=site.settings,
                notices=JobNotices(progress, stop),
                progress=progress,
                stop=stop,
                by=site.by,
            )
            return run(surroundings, **given)

    return work


def _done(
    site: Site, asked: shapes.Queueable, name: str, kind: type[shapes.Answer], **given: Any
) -> JSONResponse | shapes.Answer:
    """Run a command of the table like `_answer`. Raises `MissingExtra` at once if a part is missing."""
    verb = VERBS[name]
    verb.needs(**given).require()
    return _answer(site, asked, name, kind, _library_work(site, verb.run, **given))


def _given(asked: Shape, name: str) -> Any:
    """Return a given value, else None for the default of the library's models."""
    return getattr(asked, name) if name in asked.model_fields_set else None


@router.post("/detect/{assetId}")
async def detect(
    asset: AssetId,
    site: SiteDep,
    asked: Annotated[shapes.DetectRequest, Body(default_factory=shapes.DetectRequest)],
) -> shapes.Detected:
    """Detect faces in a photo again and add new ones. Known faces stay as they are."""

    def work() -> Looked:
        with site.library() as session:
            library = Library(session)
            embedder = site.models.faces(library, site.settings, asked.min_confidence)
            return look_again(
                library,
                embedder,
                asset,
                min_det_score=asked.min_confidence,
                min_short=asked.min_face_size,
            )

    found = await asyncio.wrap_future(site.models.looking_again.submit(work))
    return shapes.Detected.of(found, asset_id=asset)


@router.post("/cluster", response_model=shapes.Clustered, responses=_QUEUED)
def cluster(
    site: SiteDep, asked: Annotated[shapes.ClusterRequest, Body(default_factory=shapes.ClusterRequest)]
) -> Any:
    """Cluster the unassigned faces. Your corrections stay."""
    options = ClusterLibraryOptions(
        min_quality=asked.quality_threshold,
        max_faces=asked.max_faces,
        min_cluster_size=asked.min_cluster_size,
    )
    if asked.method != "hdbscan" and "min_cluster_size" in asked.model_fields_set:
        options = replace(options, min_size=asked.min_cluster_size)
    options = options.chosen(asked.method, None)
    return _done(site, asked, "cluster", shapes.Clustered, options=options, workers=EngineOptions())


@router.post("/cluster/dual", response_model=shapes.DualClustered, responses=_QUEUED)
def cluster_dual(
    site: SiteDep, asked: Annotated[shapes.DualRequest, Body(default_factory=shapes.DualRequest)]
) -> Any:
    """Match faces to known people, and cluster the others."""
    dual = DualOptions(
        dual=True,
        person_threshold=_given(asked, "person_threshold"),
        unknown_method=asked.unknown_method,
        unknown_min_size=asked.unknown_min_cluster_size,
        unknown_eps=_given(asked, "unknown_eps"),
        dual_max_faces=asked.max_faces,
    )
    return _done(
        site, asked, "cluster --dual", shapes.DualClustered, options=ClusterLibraryOptions(), dual=dual
    )


@router.post("/train", response_model=shapes.Trained, responses=_QUEUED)
def train(
    site: SiteDep, asked: Annotated[shapes.TrainRequest, Body(default_factory=shapes.TrainRequest)]
) -> Any:
    """Train a head on named people. It is used if it improves matching on people it wasn't trained on."""
    options = TrainOptions(
        epochs=asked.epochs,
        margin=asked.margin,
        batch_size=asked.batch_size,
        learning_rate=asked.learning_rate,
        min_faces=asked.min_faces_per_person,
    )
    return _done(site, asked, "train", shapes.Trained, options=options)


@router.post("/assign", response_model=shapes.Assigned, responses=_QUEUED)
def assign(
    site: SiteDep, asked: Annotated[shapes.AssignRequest, Body(default_factory=shapes.AssignRequest)]
) -> Any:
    """Match unassigned faces to known people."""
    options = AssignOptions(
        threshold=asked.threshold,
        margin=asked.margin,
        review_threshold=asked.review_threshold,
        max_faces=asked.max_faces,
    )
    return _done(site, asked, "assign", shapes.Assigned, options=options)


@router.post("/centroids", response_model=shapes.Centroids, responses=_QUEUED)
def centroids(
    site: SiteDep, asked: Annotated[shapes.CentroidsRequest, Body(default_factory=shapes.CentroidsRequest)]
) -> Any:
    """Recompute all reference faces."""
    return _done(site, asked, "people centroids", shapes.Centroids)


def folder_id(path: str) -> str:
    """Return the ID of a folder: requests never contain paths."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@router.get("/folders")
def folders(site: SiteDep) -> list[shapes.FolderShape]:
    """List the indexed folders."""
    with site.library() as session:
        found = session.run(indexed_folders)
    return [
        shapes.FolderShape(
            id=folder_id(each.path), path=printable(each.path), last_indexed_at=each.at.isoformat()
        )
        for each in found
    ]


@router.post("/index", response_model=shapes.Indexed, responses=_QUEUED)
def index(site: SiteDep, asked: shapes.IndexRequest) -> Any:
    """Add new photos from indexed folders."""
    folders = _chosen(site, asked.folder_ids)
    do = _library_work(site, index_again, folders=folders, and_assign=asked.assign)
    return _answer(site, asked, "index", shapes.Indexed, do)


def _chosen(site: Site, ids: list[str]) -> list[IndexedFolder]:
    with site.library() as session:
        known = {folder_id(each.path): each for each in session.run(indexed_folders)}
    missing = [each for each in ids if each not in known]
    if missing:
        raise NotFound(f"No indexed folder has the ID {missing[0]}.")
    return [known[each] for each in dict.fromkeys(ids)]
