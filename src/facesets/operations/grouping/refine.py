"""Make clean face sets: merge clusters, and drop poor faces, outliers and small groups."""

from collections.abc import Callable, Mapping
from collections.abc import Collection as AnyCollection
from dataclasses import replace
from pathlib import Path

import numpy as np

from facesets.clustering import (
    average_linkage,
    distances_to_centroid,
    merge_close,
    reject_outliers,
    same_image_pairs,
)
from facesets.clustering.known_recognizers import ARCFACE
from facesets.clustering.people.ages import spreads_off
from facesets.imaging.quality import quality
from facesets.interfaces import Store
from facesets.operations.grouping.cluster import members_by_label
from facesets.operations.grouping.gating import (
    SMALL_ALBUM,
    Advice,
    Gated,
    advise,
    dropped_by,
    quality_gates,
    report_unmeasured,
    require_ages,
)
from facesets.operations.grouping.result_folder import files_of, open_result, write_result
from facesets.operations.options.start import LARGEST_MIN_FACES, RefineOptions
from facesets.plurals import counted
from facesets.records import Bool, Collection, Faces, Float32, Float64, Int64
from facesets.result import Result
from facesets.results.edits.apply_user_edits import (
    Inherited,
    UserConstraints,
    apply_user_edits,
    inherit,
    names_of_clusters,
)
from facesets.results.folder_runs import reserved
from facesets.results.gates import AGE_SPREADS, MIN_FACES, OUTLIER, UNASSIGNED, Gate
from facesets.results.manifest import (
    REFINE_MANIFEST,
    DroppedFace,
    FaceEntry,
    Group,
    RefineManifest,
    face_describer,
    provenance,
)
from facesets.results.names.follow_names import with_names
from facesets.results.names.group_names import numbered_name
from facesets.results.names.naming import Naming
from facesets.work import Work


def refine(store: Store, out: Path, options: RefineOptions, *, work: Work) -> Result:
    """Make face sets of the faces of a store, and write their photos to `faceset_001/` and so on.

    Raises
    ------
    AlreadyRunning
        Another run writes to `out`.
    WrongUsage
        `out` holds the results of another command, or of another store.
    SourceGone
        Photos that the store knows are unavailable.
    CannotWrite
        `out` cannot be written.
    """
    with reserved(out, dry_run=options.dry_run):
        return _refine(store, out, options, work=work)


def _refine(store: Store, out: Path, options: RefineOptions, *, work: Work) -> Result:
    folder = open_result(store, out, RefineManifest, REFINE_MANIFEST, options, work.progress)
    collection, membership = folder.begun.collection, folder.membership
    faces, taken = collection.faces, years_of_faces(collection)
    require_ages(store.label, faces, options)
    report_unmeasured(faces, collection.settings, options, work.progress)
    options = options.for_store(len(collection.images), collection.settings.recognizer)
    work.progress.begin(f"Refining {counted(len(faces), 'face')}")
    cluster = _clusters(faces, options)
    constraints = (
        None
        if membership is None or not membership.corrections
        else apply_user_edits(cluster, collection.face_ids(), membership)
    )

    def gate(options: RefineOptions) -> Gated:
        if constraints is None:
            return _gated(faces, cluster, options, taken)
        return _gated_as_corrected(faces, constraints, options, taken)

    gated = gate(options)
    work.progress.end()
    manifest, inherited = refine_manifest(store, collection, gated, constraints, folder.naming, out, options)
    written = write_result(
        folder,
        "refine",
        REFINE_MANIFEST,
        manifest,
        inherited,
        manifest.facesets,
        {group.name: [face.paths for face in group.faces] for group in manifest.facesets},
        options,
        work=work,
    )
    advice = Advice()
    if len(collection.images) < SMALL_ALBUM or not manifest.facesets:
        advice = advise(faces, len(collection.images), options, gate)
    return Result(
        out=str(out),
        **manifest.counts,  # faces, images, facesets, kept, dropped
        dropped_by=dropped_by(gated),
        hint=advice.hint,  # how many faces each gate dropped, if few or none passed; else empty
        try_flags=list(advice.flags),  # of the hint, and all others that differ from the defaults
        learned=list(inherited.learned),
        **files_of(written, options),
    )


def years_of_faces(collection: Collection) -> Float64:
    """Return the capture year of each face's photo; NaN if it is unknown."""
    taken = collection.images.taken[collection.faces.image]
    year = taken.astype("M8[Y]").astype(np.int64) + 1970
    return np.where(np.isnat(taken), np.nan, year.astype(np.float64))


def gate_faces(faces: Faces, options: RefineOptions, taken: Float64 | None = None) -> Gated:
    """Cluster, merge, and send every face through the gates in their order.

    A face passes gates until one drops it. Centroids are those of the faces that passed so far. If options do
    not set how many photos a set needs, it needs as many as in a large library. `taken` is as
    `years_of_faces` gives it; None if no date is known.
    """
    taken = np.full(len(faces), np.nan) if taken is None else taken
    return _gated(faces, _clusters(faces, options), options, taken)


def _gated(
    faces: Faces,
    cluster: Int64,
    options: RefineOptions,
    taken: Float64,
    assigned_by_user: Bool | None = None,
    wanted: AnyCollection[int] = (),
) -> Gated:
    """Send clusters through the gates, except outliers that the user assigned and `wanted` small clusters."""
    min_faces = options.min_faces or LARGEST_MIN_FACES
    gated = _gated_one_by_one(faces, cluster, options, taken)
    if assigned_by_user is not None:
        gated.gate[assigned_by_user & np.isin(gated.gate, (OUTLIER.name, AGE_SPREADS.name))] = ""
    images = _distinct_images(faces.image, np.where(gated.gate == "", cluster, -1))
    too_few = (images < min_faces) & ~np.isin(cluster, list(wanted))
    _drop(gated, too_few, MIN_FACES, images, replace(options, min_faces=min_faces))
    return gated


def _gated_as_corrected(
    faces: Faces, constraints: UserConstraints, options: RefineOptions, taken: Float64
) -> Gated:
    """Send faces through the gates, except those that the user left without a folder: these have a gate."""
    some = np.flatnonzero(constraints.label >= 0)
    inner = _gated(
        faces.take(some),
        constraints.label[some],
        options,
        taken[some],
        constraints.assigned_by_user[some],
        constraints.wanted,
    )
    n = len(faces)
    gated = Gated(
        constraints.label, np.full(n, UNASSIGNED.name, "U32"), np.full(n, np.nan), np.full(n, np.nan)
    )
    for column, values in ((gated.gate, inner.gate), (gated.value, inner.value), (gated.limit, inner.limit)):
        column[some] = values
    return gated


def gate_joined(faces: Faces, group: Int64, joined: Bool, options: RefineOptions, taken: Float64) -> Gated:
    """Send faces that joined face sets through the gates; earlier faces stay.

    Parameters
    ----------
    group : int64 array of shape (n,)
        The face set of each face.
    joined : bool array of shape (n,)
        Whether a face is new in its set.
    taken : float64 array of shape (n,)
        As `years_of_faces` gives it.
    """
    gated = _gated_one_by_one(faces, group, options, taken)
    gated.gate[~joined] = ""
    return gated


def _gated_one_by_one(faces: Faces, cluster: Int64, options: RefineOptions, taken: Float64) -> Gated:
    """Send faces through the gates for quality, age and distance, not through the one for a group's size."""
    n = len(faces)
    gated = Gated(cluster, np.full(n, "", "U32"), np.full(n, np.nan), np.full(n, np.nan))
    for gate, below, measured in quality_gates(faces, options):
        _drop(gated, below, gate, measured, options)
    if options.age_spreads is not None and faces.age is not None:
        among = np.flatnonzero(gated.gate == "")
        group = renumbered(cluster[among])
        off = np.full(n, np.nan)
        off[among] = spreads_off(group, taken[among], faces.age[among].astype(np.float64), len(among))
        _drop(gated, off > options.age_spreads, AGE_SPREADS, off, options)
    embeddings, size = faces.embedding, options.outlier_min_cluster
    remaining = renumbered(np.where(gated.gate == "", cluster, -1))
    far = reject_outliers(
        embeddings, remaining, max_cosine_distance=options.outlier_threshold, min_cluster_size=size
    )
    _drop(gated, far, OUTLIER, distances_to_centroid(embeddings, remaining), options)
    return gated


def _clusters(faces: Faces, options: RefineOptions) -> Int64:
    """Cluster, and merge close clusters; two faces of one image stay apart unless that is allowed."""
    rows = faces.embedding
    apart = None if options.same_image_ok else same_image_pairs(rows, faces.image)
    cut = options.initial_threshold
    labels = average_linkage(rows, max_cosine_distance=cut, constraints=apart, lenient=True)
    merge = options.merge_threshold
    if merge is None:
        merge = ARCFACE.merge_max_cosine_distance
    return merge_close(rows, labels, max_cosine_distance=merge, constraints=apart)


def _drop(
    gated: Gated, mask: Bool, gate: Gate, value: Float32 | Float64 | Int64, options: RefineOptions
) -> None:
    """Record a gate for the faces in `mask` that no earlier gate dropped."""
    dropped = mask & (gated.gate == "")
    gated.gate[dropped] = gate.name
    gated.value[dropped] = value[dropped]
    gated.limit[dropped] = gate.limit_of(options)


def _distinct_images(image: Int64, labels: Int64) -> Int64:
    """Return for each face the number of distinct images of its cluster."""
    pairs = np.unique(np.stack([labels, image], axis=1), axis=0)
    counts = np.bincount(pairs[pairs[:, 0] >= 0, 0], minlength=int(labels.max(initial=-1)) + 2)
    return np.asarray(counts[labels], np.int64)


def renumbered(labels: Int64) -> Int64:
    """Renumber the labels 0, 1, … in their order, leaving -1 as it is."""
    _, compact = np.unique(np.r_[-1, labels], return_inverse=True)
    return np.asarray(compact[1:] - 1, np.int64)


def refine_manifest(
    store: Store,
    collection: Collection,
    gated: Gated,
    constraints: UserConstraints | None,
    naming: Naming,
    out: Path,
    options: RefineOptions,
) -> tuple[RefineManifest, Inherited]:
    """Return the manifest of face sets and dropped faces, and what it inherits."""
    faces = collection.faces
    describe = face_describer(collection, quality(faces).total)
    members = surviving(gated)
    ids = collection.face_ids()
    names = names_of_clusters([int(gated.cluster[rows[0]]) for rows in members], "faceset", constraints)
    faces_of = {int(gated.cluster[rows[0]]): [ids[row] for row in rows] for rows in members}
    named = with_names(naming, out, names, faces_of, constraints)
    names = {cluster: named.get(name, name) for cluster, name in names.items()}
    groups = tuple(
        Group(
            name=names[int(gated.cluster[rows[0]])],
            images=len(np.unique(faces.image[rows])),
            faces=tuple(describe(int(row)) for row in rows),
        )
        for rows in members
    )
    inherited = inherit(constraints, names, ids, describe).named(named)
    dropped = dropped_faces(gated, names, describe)
    manifest = RefineManifest(
        made=provenance(store, collection.settings, options),
        counts={
            "faces": len(faces),
            "images": len(collection.images),
            "facesets": len(groups),
            "kept": int((gated.gate == "").sum()),
            "dropped": len(dropped),
        },
        facesets=groups,
        dropped=dropped,
        failed=(),
        missing=(),
        files={},
        sheets=(),
        statements=inherited.corrections,
        hidden=inherited.hidden,
        set_aside=inherited.set_aside,
    )
    return manifest, inherited


def surviving(gated: Gated) -> list[Int64]:
    """Return the rows of each group that passed all gates, largest first."""
    labels = renumbered(np.where(gated.gate == "", gated.cluster, -1))
    return sorted(members_by_label(labels), key=lambda rows: (-len(rows), rows[0]))


def dropped_faces(
    gated: Gated, names: Mapping[int, str], describe: Callable[[int], FaceEntry]
) -> tuple[DroppedFace, ...]:
    """Return dropped faces by group, largest initial cluster first, then in row order.

    `names` are those of the clusters that became face sets.
    """
    rows = np.flatnonzero((gated.gate != "") & (gated.gate != UNASSIGNED.name))
    clusters = int(gated.cluster.max(initial=-1)) + 1
    return tuple(
        DroppedFace(
            face=describe(int(row)),
            group=names.get(label := int(gated.cluster[row]), numbered_name("cluster", label + 1, clusters)),
            gate=str(gated.gate[row]),
            value=round(float(gated.value[row]), 4),
            limit=float(gated.limit[row]),
        )
        for row in rows[np.argsort(gated.cluster[rows], kind="stable")]
    )
