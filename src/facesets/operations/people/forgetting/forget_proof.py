"""The proof of erasing: a search for what remains of a person, in the library and in files."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import numpy as np

from facesets.errors import CannotWrite
from facesets.files import printable
from facesets.operations.people.forgetting.forget_files import NEAR, CacheForgotten
from facesets.operations.people.forgetting.written_names import holds_name, sql_pattern
from facesets.result import Result
from facesets.results.earlier_export import EarlierExport
from facesets.results.export_manifest import ExportManifest
from facesets.results.manifest_json import read_any_manifest
from facesets.results.names.file_names import folded, folder_name
from facesets.results.safe_folder import SafeFolder
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.people import traces as searching
from facesets.store.postgres.people.face_details import FaceVectors
from facesets.store.postgres.people.persons import all_names
from facesets.store.postgres.people.traces import is_near

_OF_PHOTOS = (
    *("image_paths.path", "galleries.", "result_folders.path", "xmp_sidecars.", "xmp_changes."),
    *("cameras.", "tags.", "tag_categories.", "stage_versions.", "description_jobs."),
    *("descriptions.model", "descriptions.provider"),
)
"""Columns that are no data about people: paths of photos and results, their owner's texts about them, and
names of cameras, tags and models, such as Dawn and Claude."""

_OF_NAMES = ("person_names.", "person_corrections.", "step_rows.", "steps.what")


_OF_PHOTOS_IN_FILES = ("paths", "source", "cache")
"""Keys of manifests with paths that the user chose."""

_OWN_KEY = re.compile(r"[a-z0-9_]+")


def prove(
    database: Database,
    vectors: Sequence[FaceVectors],
    denied: AbstractSet[int],
    forms: Sequence[str],
    caches: Sequence[CacheForgotten],
    folders: Sequence[Path],
) -> Result:
    """Search for what remains of a person: similar embeddings, and their names.

    Matches in paths of photos, in their owner's texts, and in names of other people, cameras, tags and models
    do not count as the person's: `names_of_others`.

    Parameters
    ----------
    vectors : sequence of FaceVectors
        Embeddings of their faces.
    denied : set of int
        Faces denied for the person.
    forms : sequence of str
        Their names, in every written form.
    folders : sequence of Path
        Result folders from which their data was removed.
    """
    left, of_others = database.run(_vectors_left, vectors, denied)
    left += sum(cache.vectors_left for cache in caches)
    for folder in folders:
        of_others |= {f"the face set {printable(each)}": 1 for each in near_sets(folder, vectors)}
    names: list[str] = []
    elsewhere: list[str] = []
    if forms:
        pattern = sql_pattern(forms)
        rows = database.run(searching.rows_with, pattern)
        # Another person may have the name, too, as part of a longer one.
        excused = (*_OF_PHOTOS, *_OF_NAMES) if "person_names.name" in rows else _OF_PHOTOS
        for place, count in rows.items():
            (elsewhere if place.startswith(excused) else names).append(f"{place} ({count})")
        known = {name for name, _ in database.run(all_names)}
        others = {folded(each) for name in known for each in (name, folder_name(name))}
        for folder in folders:
            own, excusable = names_in(folder, forms, others)
            names += [f"{printable(folder)}: {printable(name)}" for name in own]
            elsewhere += [f"{printable(folder)}: {printable(name)}" for name in excusable]
    names += [f"beside {printable(cache.file)}" for cache in caches if cache.names_left]
    return Result(
        is_clean=not (left or names),
        vectors_left=left,  # near the person's faces, and of no other person
        of_others=of_others,  # people who have such vectors of their own, because they look similar
        names_left=names,  # places that still hold a name of the person
        names_of_others=elsewhere,
    )


def _vectors_left(
    connection: Connection, vectors: Sequence[FaceVectors], denied: AbstractSet[int]
) -> tuple[int, dict[str, int]]:
    """Count vectors near the person's: unassigned ones, and those of each other person."""
    left = 0
    of_others: Counter[str] = Counter()
    for known in vectors:
        near = searching.near_faces(connection, known, NEAR)
        of_others["faces confirmed as another person"] += len(denied & set(near))
        near = [face for face in near if face not in denied]
        for owner in searching.owners(connection, near).values():
            if owner.person:
                of_others[printable(owner.name) or owner.person[:8]] += 1
            else:
                left += 1
        for kind, name in searching.near_averages(connection, known, NEAR):
            of_others[f"the {kind} {printable(name)}"] += 1
        left += searching.raw_vectors(connection, known.embedding)
    return left, {name: count for name, count in of_others.items() if count}


def near_sets(folder: Path, vectors: Sequence[FaceVectors]) -> list[str]:
    """Return face sets of an export whose mean is similar to a person's faces."""
    manifest = read_any_manifest(folder)
    if not isinstance(manifest, ExportManifest):
        return []
    export = EarlierExport(folder, manifest)
    centroids = {entry.name: export.sets.read(entry.name).centroid for entry in export.entries}
    means = {name: np.array(centroid, np.float32) for name, centroid in centroids.items()}
    return [
        f"{folder}/{name}"
        for name, mean in means.items()
        if any(
            known.embedding.shape[1:] == mean.shape and is_near(mean[None], known.embedding, NEAR).any()
            for known in vectors
        )
    ]


def names_in(folder: Path, forms: Sequence[str], others: AbstractSet[str]) -> tuple[list[str], list[str]]:
    """Return where a result folder holds a name: in folder names and manifests. No link is followed.

    Parameters
    ----------
    others : set of str
        Names of other people, and of their folders; folded.

    Returns
    -------
    held, excused : list of str
        Places; in the latter the name is only part of another person's name, or of a path of photos.
    """
    safe = SafeFolder(folder)
    held: list[str] = []
    excused: list[str] = []

    with_slash = [form for form in forms if "/" in form]

    def is_held(text: str, forms: Sequence[str] = forms) -> bool:
        return holds_name(text.encode("utf-8", "backslashreplace"), forms)

    top = safe.names_in()
    for name in top:
        if is_held(name):
            (excused if folded(name) in others else held).append(name)
    inside = [f"{name}/{each}" for name in top for each in safe.names_in(name) if each.endswith(".json")]
    for name in [*(each for each in top if each.endswith(".json")), *inside]:
        content = _content(safe, name)
        # Escaped text hides the letters of a name and its word boundaries.
        if b"\\" not in content and not holds_name(content, forms):
            continue
        texts = list(_texts(content))
        # A name may also look like a path.
        whole = _texts(content, cut=False) if with_slash else ()
        if any(own and is_held(text) and _owner(text) not in others for text, own in texts) or any(
            own and is_held(text, with_slash) for text, own in whole
        ):
            held.append(name)
        elif any(is_held(text) for text, _ in texts):
            excused.append(name)
    return held, excused


def _content(folder: SafeFolder, name: str) -> bytes:
    """Return the bytes of a file of the folder's own; none for a link, a pipe or an unreadable file."""
    try:
        return folder.read(name) if folder.is_file(name) else b""
    except (OSError, CannotWrite):
        return b""


def _owner(place: str) -> str:
    return folded(place.partition("/")[0])


def _texts(content: bytes, *, cut: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield the variable texts in a manifest, and whether they may be a person's name.

    Keys are the program's own words except those of files, whose folders may be a person's name. With `cut`,
    their last part, the photo's file name, does not count.
    """
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        yield content.decode("utf-8", "backslashreplace"), True
        return
    yield from _walk(raw, own=True, cut=cut)


def _walk(raw: Any, *, own: bool, cut: bool) -> Iterator[tuple[str, bool]]:  # noqa: ANN401 - whatever JSON holds
    if isinstance(raw, str) and not cut:
        yield raw, own and not raw.startswith("/")
    elif isinstance(raw, str):
        folders, _, last = raw.rpartition("/")
        yield folders or last, own and not raw.startswith("/")
        if folders:
            yield last, False
    elif isinstance(raw, list):
        for each in raw:
            yield from _walk(each, own=own, cut=cut)
    elif isinstance(raw, dict):
        for key, value in raw.items():
            if not _OWN_KEY.fullmatch(key):
                yield from _walk(key, own=own, cut=cut)
            yield from _walk(value, own=own and key not in _OF_PHOTOS_IN_FILES, cut=cut)
