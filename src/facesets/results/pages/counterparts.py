"""Match groups of two results: `faceset_003` of `refine` may be `person_007` of `cluster`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from facesets.errors import FacesetsError
from facesets.results.manifest import (
    CLUSTER_MANIFEST,
    REFINE_MANIFEST,
    ClusterManifest,
    FaceEntry,
    Provenance,
    RefineManifest,
    groups_of,
)
from facesets.results.manifest_json import read_any_manifest

Groups: TypeAlias = Mapping[str, Iterable[FaceEntry]]
"""The faces of people or face sets, by name."""


def faces_by_name(manifest: ClusterManifest | RefineManifest) -> Groups:
    """Return the face ids of each group of a result, as its run left them."""
    return {group.name: group.faces for group in groups_of(manifest)}


def counterparts(groups: Groups, others: Groups) -> dict[str, dict[str, int]]:
    """Count the faces that each group shares with others, by name; the most first."""
    own = {face.face: name for name, faces in groups.items() for face in faces}
    shared: dict[str, Counter[str]] = {name: Counter() for name in groups}
    for other, faces in others.items():
        for face in faces:
            if face.face in own:
                shared[own[face.face]][other] += 1
    return {name: dict(counts.most_common()) for name, counts in shared.items()}


def sibling_names(
    manifest: ClusterManifest | RefineManifest, folder: Path, groups: Groups | None = None
) -> dict[str, str]:
    """Return the names of a result's groups in the other result beside its folder.

    People are matched with the newest face sets of the same store, and face sets with its newest people. A
    group without a face there is missing.

    Parameters
    ----------
    groups : mapping, optional
        The present groups, if they differ from the manifest.
    """
    other = next(_sibling_manifests(type(manifest), manifest.made, folder), None)
    if other is None:
        return {}
    found = counterparts(faces_by_name(manifest) if groups is None else groups, faces_by_name(other))
    return {name: ", ".join(shared) for name, shared in found.items() if shared}


def _sibling_manifests(
    own: type[ClusterManifest | RefineManifest], made: Provenance, folder: Path
) -> Iterator[ClusterManifest | RefineManifest]:
    wanted = REFINE_MANIFEST if own is ClusterManifest else CLUSTER_MANIFEST
    found = []
    try:
        for path in folder.absolute().parent.glob(f"*/{wanted}"):
            status = path.stat()
            found.append((status.st_mtime_ns, path, status.st_size))
    except OSError:
        return
    for changed, path, size in sorted(found, reverse=True):
        other = _read(path, (changed, size))
        if other is not None and not isinstance(other, own) and _store(other.made) == _store(made):
            yield other


def _store(made: Provenance) -> str:
    return made.store or made.cache


@lru_cache(maxsize=4)
def _read(path: Path, state: tuple[int, int]) -> ClusterManifest | RefineManifest | None:  # noqa: ARG001
    """Read the manifest of a result, cached until the file changes; None for an unusable one."""
    try:
        manifest = read_any_manifest(path)
    except FacesetsError:
        return None
    return manifest if isinstance(manifest, ClusterManifest | RefineManifest) else None
