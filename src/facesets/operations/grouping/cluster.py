"""Group every face of a store into folders of people."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from facesets.clustering import singletons_as_noise
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.graph import OnProgress
from facesets.clustering.methods import METHODS, Grouping, GroupingTask
from facesets.clustering.poor_faces import Clarities, norm_limits, rate_clarity
from facesets.files import printable
from facesets.imaging.poor_faces import poor_in
from facesets.imaging.quality import quality
from facesets.interfaces import Store
from facesets.operations.grouping.result_folder import (
    FoundResult,
    files_of,
    follow_library,
    open_result,
    people_of,
    with_hidden,
    write_result,
)
from facesets.operations.options.start import ClusterOptions
from facesets.operations.people.grouping.matching import Steps, StoppedEarly
from facesets.plurals import counted
from facesets.records import Collection, Float32, Int64
from facesets.result import Result
from facesets.results.edits.apply_user_edits import (
    Inherited,
    UserConstraints,
    apply_user_edits,
    inherit,
    names_of_clusters,
)
from facesets.results.edits.user_edits import SINGLETONS
from facesets.results.folder_runs import reserved
from facesets.results.manifest import (
    CLUSTER_MANIFEST,
    ClusterManifest,
    Group,
    ImageEntry,
    face_describer,
    provenance,
)
from facesets.results.names.follow_names import with_names
from facesets.results.names.naming import Naming
from facesets.results.photo_folders import Written
from facesets.work import Work

NO_FACE = "_noface"
ASSIGNED_BY_USER = "said"
"""The placement of a face that the user assigned; manifests store it under this word."""


def cluster(
    store: Store, out: Path, options: ClusterOptions, *, work: Work, engine: Engine = IN_PROCESS
) -> Result:
    """Group the faces of a store, and write their photos to `person_001/`, `_singletons/`, `_noface/`.

    Parameters
    ----------
    engine : Engine
        Compares the faces.

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
        return _cluster(store, out, options, work=work, engine=engine)


def _cluster(store: Store, out: Path, options: ClusterOptions, *, work: Work, engine: Engine) -> Result:
    folder = open_result(store, out, ClusterManifest, CLUSTER_MANIFEST, options, work.progress)
    collection, interrupted = folder.begun.collection, _interrupted(folder, options)
    faces, recognizer = collection.faces, collection.settings.recognizer
    reported = Steps(work, f"Clustering {counted(len(faces), 'face')}")
    try:
        grouping = group_faces(
            faces.embedding,
            faces.image,
            options,
            recognizer,
            clarity=shown_in(collection),
            engine=engine,
            on_progress=reported,
        )
        if work.stop.requested:
            return interrupted
    except StoppedEarly:
        return interrupted
    finally:
        reported.end()
    people = people_of(store)
    ids = collection.face_ids()
    grouping = replace(grouping, labels=follow_library(grouping.labels, ids, people))
    describe = face_describer(collection, quality(faces).total)
    membership = with_hidden(folder.membership, ids, people, describe)
    constraints = (
        None
        if membership is None or not (membership.corrections or membership.hidden)
        else apply_user_edits(grouping.labels, ids, membership)
    )
    manifest, inherited = _manifest(store, collection, grouping, constraints, folder.naming, out, options)
    written = write_result(
        replace(folder, membership=membership),
        "cluster",
        CLUSTER_MANIFEST,
        manifest,
        inherited,
        manifest.persons,
        _members(manifest),
        options,
        work=work,
    )
    return Result(
        interrupted,
        **manifest.counts,
        reasons=list(grouping.reasons),
        method_changed=_of_another_method(folder.begun.before, options),
        learned=list(inherited.learned),
        **files_of(written, options),
        grouped=True,
    )


def _interrupted(folder: FoundResult[ClusterManifest], options: ClusterOptions) -> Result:
    """Return the result of a run that is stopped before faces are grouped; other runs update its figures."""
    collection = folder.begun.collection
    what = f"{counted(len(collection.faces), 'face')} in {counted(len(collection.images), 'photo')}"
    stands = "Nothing was written to" if folder.begun.before is None else "Nothing was changed in"
    return Result(
        out=str(folder.out),
        faces=len(collection.faces),
        images=len(collection.images),
        persons=0,
        singletons=0,
        no_face=0,
        reasons=[f"Interrupted while grouping {what}. {stands} {printable(folder.out)}."],
        method_changed="",  # a sentence if the folder was grouped with another method before
        learned=[],
        **files_of(Written(0, 0, 0, stopped=True), options),
        # Whether faces were grouped; if not, the reasons explain the state of the folder.
        grouped=False,
    )


def _of_another_method(before: ClusterManifest | None, options: ClusterOptions) -> str:
    """Return a message if another method than before may change the folder more than expected."""
    used = {} if before is None else before.made.options
    method = used.get("method", options.method)
    if options.method != "auto" or method == options.method:
        return ""
    cut = "".join(
        f" ({name.replace('_', ' ')} {used[name]:g})"
        for name in ("threshold", "min_cosine_similarity")
        if isinstance(used.get(name), int | float)
    )
    return (
        "Grouped with auto, the default method, which needs no threshold. Before, this folder was grouped "
        f"with {method}{cut}. People keep your names and corrections."
    )


def group_faces(
    embeddings: Float32,
    image: Int64,
    options: ClusterOptions,
    recognizer: str | None = None,
    *,
    clarity: Clarities | None = None,
    engine: Engine = IN_PROCESS,
    on_progress: OnProgress | None = None,
) -> Grouping:
    """Cluster by the chosen method; a single face is noise.

    Parameters
    ----------
    embeddings : float32 array of shape (n, d)
    image : int64 array of shape (n,)
        Faces with the same number are in one image.
    recognizer : str, optional
        The file name of the network that made the embeddings.
    clarity : uint8 array of shape (n,), optional
        How much each face shows (`Clarity`). `auto` makes no person of faces that show too little.
    engine : Engine
        Compares the faces.
    on_progress : callable, optional
        Called with the steps done so far, and their total.
    """
    task = GroupingTask(
        embeddings=embeddings,
        image=None if options.same_image_ok else image,
        clarity=clarity,
        recognizer=recognizer,
        threshold=options.own_threshold(),
        min_cluster_size=options.min_cluster_size,
        min_samples=options.min_samples,
        on_progress=on_progress,
        engine=engine,
    )
    found = METHODS[options.method].group(task)
    used = {"same_image_ok": options.same_image_ok, **found.used}
    return replace(found, labels=singletons_as_noise(found.labels), used=used)


def shown_in(collection: Collection) -> Clarities:
    """Return how much each face of a collection shows of its person (`Clarity`). Shape (faces,)."""
    faces, recognizer = collection.faces, collection.settings.recognizer
    limits = norm_limits(recognizer, faces.embedding, faces.norm, faces.image)
    return rate_clarity(faces.norm, limits, poor_in(collection))


def members_by_label(labels: Int64) -> list[Int64]:
    """Return the rows of clusters 0, 1, …, each in row order."""
    order = np.argsort(labels, kind="stable")
    noise = int((labels < 0).sum())
    ends = np.cumsum(np.bincount(labels[labels >= 0]))
    return np.split(order[noise:], ends[:-1]) if len(ends) else []


def _manifest(
    store: Store,
    collection: Collection,
    grouping: Grouping,
    constraints: UserConstraints | None,
    naming: Naming,
    out: Path,
    options: ClusterOptions,
) -> tuple[ClusterManifest, Inherited]:
    faces, images = collection.faces, collection.images
    made = provenance(store, collection.settings, options)
    used = {"method": options.method, **grouping.used, "materialize": options.materialize}
    describe = face_describer(collection, quality(faces).total)
    ids = collection.face_ids()
    labels = grouping.labels if constraints is None else constraints.label
    members, single = _people_and_singles(labels, constraints)
    clusters = [int(labels[rows[0]]) for rows in members]
    names = names_of_clusters(clusters, "person", constraints)
    faces_of = {c: [ids[row] for row in rows] for c, rows in zip(clusters, members, strict=True)}
    named = with_names(naming, out, names, faces_of, constraints)
    names = {cluster: named.get(name, name) for cluster, name in names.items()}
    persons = tuple(
        Group(
            name=names[cluster],
            images=len(np.unique(faces.image[rows])),
            faces=tuple(describe(int(row)) for row in rows),
        )
        for cluster, rows in zip(clusters, members, strict=True)
    )
    inherited = inherit(constraints, names, ids, describe).named(named)
    singletons = tuple(describe(int(row)) for row in single)
    placements = dict(zip(ids, grouping.placement, strict=False))
    if constraints is not None and placements:
        placements |= {ids[row]: ASSIGNED_BY_USER for row in np.flatnonzero(constraints.assigned_by_user)}
    without = np.setdiff1d(np.arange(len(images)), faces.image)
    no_face = tuple(ImageEntry(images.sha256[row].decode(), images.paths[row]) for row in without)
    manifest = ClusterManifest(
        made=replace(made, options=used),
        reasons=grouping.reasons,
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
        missing=(),
        files={},
        sheets=(),
        statements=inherited.corrections,
        hidden=inherited.hidden,
        set_aside=inherited.set_aside,
        placements=placements,
    )
    return manifest, inherited


def _people_and_singles(labels: Int64, constraints: UserConstraints | None) -> tuple[list[Int64], Int64]:
    """Return the rows of the faces of each person, the largest first, and of unassigned faces.

    A person that the user named may have one face.
    """
    known = {} if constraints is None else constraints.names
    groups = [rows for rows in members_by_label(labels) if len(rows)]
    people = [rows for rows in groups if len(rows) > 1 or int(labels[rows[0]]) in known]
    people.sort(key=lambda rows: (-len(rows), rows[0]))
    if constraints is None:
        return people, np.flatnonzero(labels < 0)
    alone = [rows[0] for rows in groups if len(rows) == 1 and int(labels[rows[0]]) not in known]
    return people, np.sort(np.array(alone, np.int64))


def _members(manifest: ClusterManifest) -> dict[str, list[tuple[str, ...]]]:
    """Return the paths of the images of each folder."""
    return {
        **{group.name: [face.paths for face in group.faces] for group in manifest.persons},
        SINGLETONS: [face.paths for face in manifest.singletons],
        NO_FACE: [image.paths for image in manifest.no_face],
    }
