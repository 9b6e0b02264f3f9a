"""Raw grouping: every face of a store into folders of people."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesets.clustering import (
    average_linkage,
    calibrate,
    cluster_auto,
    connected_components,
    hdbscan,
    same_image_pairs,
    singletons_as_noise,
)
from facesets.exports.manifest import (
    CLUSTER_MANIFEST,
    ClusterManifest,
    Failure,
    Group,
    ImageEntry,
    face_describer,
)
from facesets.imaging.quality import quality
from facesets.interfaces import Progress, Store
from facesets.operations.options import ClusterOptions
from facesets.operations.photo_folders import (
    PhotoFolders,
    lay_out,
    provenance,
    rehearse,
    write_photo_folders,
)
from facesets.records import Collection, Float32, Int64
from facesets.stop import Stop

SINGLETONS = "_singletons"
NO_FACE = "_noface"


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """What `cluster` found and wrote. `failed` photos could not be copied."""

    out: str
    faces: int
    images: int
    persons: int
    singletons: int
    no_face: int
    reasons: list[str]
    copied: int
    unchanged: int
    removed: int
    failed: int
    failures: list[Failure]
    dry_run: bool
    stopped: bool


@dataclass(frozen=True, slots=True)
class Grouping:
    """Faces in clusters.

    Attributes
    ----------
    labels : int64 array of shape (n,)
        Numbered by falling size; -1 is noise.
    reasons : tuple of str
        A sentence for each choice that the method made by itself.
    """

    labels: Int64
    reasons: tuple[str, ...]


def cluster(
    store: Store, out: Path, options: ClusterOptions, *, progress: Progress, stop: Stop
) -> ClusterSummary:
    """Group the faces of a store and lay their photos into `person_001/`, `_singletons/`, `_noface/`.

    Raises
    ------
    AlreadyRunning
        Another run writes to `out`.
    WrongUsage
        `out` holds the results of another command.
    CannotWrite
        `out` cannot be written.
    """
    collection = store.load()
    progress.begin(f"Clustering {len(collection.faces)} faces")
    grouping = group_faces(collection.faces.embedding, collection.faces.image, options)
    labels = grouping.labels
    progress.end()
    manifest = _manifest(store, collection, labels, options)
    plan = PhotoFolders(out, CLUSTER_MANIFEST, _files(manifest, options), options.materialize, options.sheet)
    if options.dry_run:
        written = rehearse(plan, ClusterManifest)
    else:
        written = write_photo_folders(plan, manifest, progress=progress, stop=stop)
    return ClusterSummary(
        out=str(out),
        **manifest.counts,
        reasons=list(grouping.reasons),
        copied=written.copied,
        unchanged=written.unchanged,
        removed=written.removed,
        failed=written.failed,
        failures=written.failures,
        dry_run=options.dry_run,
        stopped=written.stopped,
    )


def group_faces(embeddings: Float32, image: Int64, options: ClusterOptions) -> Grouping:
    """Cluster by the chosen method; a face that is alone is noise.

    Parameters
    ----------
    embeddings : float32 array of shape (n, d)
    image : int64 array of shape (n,)
        Faces with the same number are in one image.
    """
    if options.method == "auto":
        result = cluster_auto(embeddings, image_index=None if options.same_image_ok else image)
        return Grouping(singletons_as_noise(result.labels), result.reasons)
    if options.method == "agglomerative":
        return _agglomerative(embeddings, image, options)
    if options.method == "components":
        labels = connected_components(embeddings, min_cosine_similarity=options.min_cosine_similarity)
    else:
        labels = hdbscan(
            embeddings, min_cluster_size=options.min_cluster_size, min_samples=options.min_samples
        ).labels
    return Grouping(singletons_as_noise(labels), ())


def _agglomerative(embeddings: Float32, image: Int64, options: ClusterOptions) -> Grouping:
    constraints = None if options.same_image_ok else same_image_pairs(embeddings, image)
    threshold = options.threshold
    reasons: tuple[str, ...] = ()
    if threshold is None:
        measured = calibrate(embeddings, image_index=None if options.same_image_ok else image)
        threshold = measured.max_cosine_distance
        reasons = (f"Cut at a cosine distance of {threshold:.2f}, measured on {measured.source}.",)
    labels = average_linkage(embeddings, max_cosine_distance=threshold, constraints=constraints)
    return Grouping(singletons_as_noise(labels), reasons)


def members_by_label(labels: Int64) -> list[Int64]:
    """Rows of clusters 0, 1, …, each in row order."""
    order = np.argsort(labels, kind="stable")
    noise = int((labels < 0).sum())
    ends = np.cumsum(np.bincount(labels[labels >= 0]))
    return np.split(order[noise:], ends[:-1]) if len(ends) else []


def numbered_name(kind: str, number: int, count: int) -> str:
    """`person_007`: counted from 1, with as many digits as the highest number needs, at least three."""
    return f"{kind}_{number:0{max(3, len(str(count)))}d}"


def _manifest(
    store: Store, collection: Collection, labels: Int64, options: ClusterOptions
) -> ClusterManifest:
    faces, images = collection.faces, collection.images
    describe = face_describer(collection, quality(faces).total)
    members = members_by_label(labels)
    persons = tuple(
        Group(
            name=numbered_name("person", number, len(members)),
            images=len(np.unique(faces.image[rows])),
            faces=tuple(describe(int(row)) for row in rows),
        )
        for number, rows in enumerate(members, start=1)
    )
    singletons = tuple(describe(int(row)) for row in np.flatnonzero(labels < 0))
    without = np.setdiff1d(np.arange(len(images)), faces.image)
    no_face = tuple(ImageEntry(images.sha256[row].decode(), images.paths[row]) for row in without)
    return ClusterManifest(
        made=provenance(store, collection.settings, options),
        counts={
            "faces": len(faces),
            "images": len(images),
            "persons": len(persons),
            "singletons": len(singletons),
            "no_face": len(no_face),
        },
        persons=persons,
        singletons=singletons,
        no_face=no_face,
        failed=(),
        files={},
        sheets=(),
    )


def _files(manifest: ClusterManifest, options: ClusterOptions) -> dict[str, str]:
    folders = {
        group.name: [path for face in group.faces for path in face.paths] for group in manifest.persons
    }
    folders[SINGLETONS] = [path for face in manifest.singletons for path in face.paths]
    folders[NO_FACE] = [path for image in manifest.no_face for path in image.paths]
    return lay_out(folders, options.materialize)
