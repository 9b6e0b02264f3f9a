"""Raw grouping: every face of a store into folders of people."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesets.clustering import (
    average_linkage,
    connected_components,
    hdbscan,
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
    copied: int
    unchanged: int
    removed: int
    failed: int
    failures: list[Failure]
    dry_run: bool
    stopped: bool


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
    labels = label_faces(collection.faces.embedding, options)
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
        copied=written.copied,
        unchanged=written.unchanged,
        removed=written.removed,
        failed=written.failed,
        failures=written.failures,
        dry_run=options.dry_run,
        stopped=written.stopped,
    )


def label_faces(embeddings: Float32, options: ClusterOptions) -> Int64:
    """Cluster by the chosen method; a face that is alone is noise.

    Parameters
    ----------
    embeddings : float32 array of shape (n, d)

    Returns
    -------
    int64 array of shape (n,)
        Numbered by falling size; -1 is noise.
    """
    if options.method == "agglomerative":
        labels = average_linkage(embeddings, max_cosine_distance=options.threshold)
    elif options.method == "components":
        labels = connected_components(embeddings, min_cosine_similarity=options.min_cosine_similarity)
    else:
        labels = hdbscan(
            embeddings, min_cluster_size=options.min_cluster_size, min_samples=options.min_samples
        ).labels
    return singletons_as_noise(labels)


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
