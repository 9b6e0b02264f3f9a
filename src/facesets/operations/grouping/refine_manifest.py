"""What `refine` writes down: face sets, and which faces fell out of them at which gate."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from facesets.imaging.quality import quality
from facesets.interfaces import Store
from facesets.operations.grouping.cluster import members_by_label
from facesets.operations.grouping.gating import Gated
from facesets.operations.options.start import RefineOptions
from facesets.records import Collection, Int64
from facesets.results.apply_user_edits import Carried, UserConstraints, carried, names_of_clusters
from facesets.results.follow_names import with_names
from facesets.results.gates import UNASSIGNED
from facesets.results.group_names import numbered_name
from facesets.results.manifest import DroppedFace, FaceEntry, Group, RefineManifest, face_describer
from facesets.results.naming import Naming
from facesets.results.provenance import provenance


def numbered_anew(labels: Int64) -> Int64:
    """Number the labels that occur 0, 1, … in their order, leaving -1 as it is."""
    _, compact = np.unique(np.r_[-1, labels], return_inverse=True)
    return np.asarray(compact[1:] - 1, np.int64)


def refine_manifest(
    store: Store,
    collection: Collection,
    gated: Gated,
    said: UserConstraints | None,
    naming: Naming,
    out: Path,
    options: RefineOptions,
) -> tuple[RefineManifest, Carried]:
    """The record of face sets and of what fell out of them, and the statements that it carries on."""
    faces = collection.faces
    describe = face_describer(collection, quality(faces).total)
    members = surviving(gated)
    ids = collection.face_ids()
    names = names_of_clusters([int(gated.cluster[rows[0]]) for rows in members], "faceset", said)
    faces_of = {int(gated.cluster[rows[0]]): [ids[row] for row in rows] for rows in members}
    named = with_names(naming, out, names, faces_of, said)
    names = {cluster: named.get(name, name) for cluster, name in names.items()}
    groups = tuple(
        Group(
            name=names[int(gated.cluster[rows[0]])],
            images=len(np.unique(faces.image[rows])),
            faces=tuple(describe(int(row)) for row in rows),
        )
        for rows in members
    )
    kept = carried(said, names, ids, describe).named(named)
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
        statements=kept.statements,
        hidden=kept.hidden,
        set_aside=kept.set_aside,
    )
    return manifest, kept


def surviving(gated: Gated) -> list[Int64]:
    """Rows of each group that passed all gates, largest first."""
    kept = numbered_anew(np.where(gated.gate == "", gated.cluster, -1))
    return sorted(members_by_label(kept), key=lambda rows: (-len(rows), rows[0]))


def dropped_faces(
    gated: Gated, names: Mapping[int, str], describe: Callable[[int], FaceEntry]
) -> tuple[DroppedFace, ...]:
    """Dropped faces by group, largest initial cluster first, then in row order.

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
