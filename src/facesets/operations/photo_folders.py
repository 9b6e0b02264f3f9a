"""Folders of photos with a manifest and contact sheets: what `cluster` and `refine` have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from facesets import __version__
from facesets.exports.folders import ResultFolder, finish, would_remove, writing_results
from facesets.exports.manifest import ClusterManifest, Failure, Provenance, RefineManifest
from facesets.exports.manifest_files import manifest_bytes, read_manifest
from facesets.exports.materialize import Materialize
from facesets.exports.names import flatten_all
from facesets.interfaces import Progress, Store
from facesets.operations.contact_sheets import draw_sheets, plan_rows
from facesets.operations.options import (
    ClusterOptions,
    DedupOptions,
    ExportSwapOptions,
    RefineOptions,
    recorded,
)
from facesets.records import CacheSettings
from facesets.stop import Stop

M = TypeVar("M", ClusterManifest, RefineManifest)


@dataclass(frozen=True, slots=True)
class Written:
    """What happened to the files of a result folder."""

    copied: int
    unchanged: int
    removed: int
    failures: list[Failure] = field(default_factory=list)
    stopped: bool = False

    @property
    def failed(self) -> int:
        """How many photos could not be used."""
        return len({failure.path for failure in self.failures})


@dataclass(frozen=True, slots=True)
class PhotoFolders:
    """A result that is still to be written: the manifest to be, and where its photos go.

    Attributes
    ----------
    manifest_name : str
    files : mapping
        Relative name to source path.
    """

    out: Path
    manifest_name: str
    files: Mapping[str, str]
    how: Materialize
    with_sheet: bool


def lay_out(members: Mapping[str, Iterable[str]], how: Materialize) -> dict[str, str]:
    """Turn {folder: paths of photos} into {relative name: path}; empty when nothing is materialised."""
    if how == "none":
        return {}
    return {
        f"{folder}/{name}": path
        for folder, paths in members.items()
        for path, name in flatten_all(paths).items()
    }


def provenance(
    store: Store,
    models: CacheSettings,
    options: ClusterOptions | RefineOptions | DedupOptions | ExportSwapOptions,
) -> Provenance:
    """Say what a result is made by and from."""
    return Provenance(program=__version__, cache=store.label, models=models, options=recorded(options))


def write_photo_folders(plan: PhotoFolders, manifest: M, *, progress: Progress, stop: Stop) -> Written:
    """Materialise the photos, draw the sheets, and write the manifest last.

    A request to stop leaves the folder as an interrupted run does: the next run completes it.
    """
    earlier = _files_of_earlier_run(plan, type(manifest))
    with writing_results(plan.out, earlier) as folder:
        return _fill(folder, plan, manifest, progress, stop)


def _fill(folder: ResultFolder, plan: PhotoFolders, manifest: M, progress: Progress, stop: Stop) -> Written:
    rows = plan_rows(manifest, plan.out) if plan.with_sheet else []
    sheets = draw_sheets(manifest, rows, plan.manifest_name, progress=progress, stop=stop)
    folder.announce({**plan.files, **dict.fromkeys(sheets, "")})
    if not _place_all(folder, plan, progress, stop):
        return _written(folder, removed=0, stopped=True)
    for name, content in sheets.items():
        folder.write(name, content)
    failed = (*manifest.failed, *folder.failed)
    files = {name: source for name, source in sorted(folder.kept.items()) if source}
    complete = replace(manifest, failed=failed, files=files, sheets=tuple(sheets))
    removed = finish(folder, plan.manifest_name, manifest_bytes(complete))
    return _written(folder, removed=removed)


def rehearse(plan: PhotoFolders, kind: type[M]) -> Written:
    """What `write_photo_folders` would do, as far as names tell."""
    earlier = _files_of_earlier_run(plan, kind)
    there = sum((plan.out / name).exists() for name in plan.files)
    return Written(
        copied=len(plan.files) - there,
        unchanged=there,
        removed=would_remove(plan.out, earlier, plan.files),
    )


def _files_of_earlier_run(plan: PhotoFolders, kind: type[M]) -> dict[str, str]:
    path = plan.out / plan.manifest_name
    if not path.is_file():
        return {}
    manifest = read_manifest(path, kind)
    return {**manifest.files, **dict.fromkeys(manifest.sheets, "")}


def _place_all(folder: ResultFolder, plan: PhotoFolders, progress: Progress, stop: Stop) -> bool:
    """Put every photo in its place; False when asked to stop before the end."""
    progress.begin("Writing photos", len(plan.files))
    for name, source in plan.files.items():
        if stop.requested:
            return False
        folder.place(name, source, plan.how)
        progress.advance()
    progress.end()
    return not stop.requested


def _written(folder: ResultFolder, *, removed: int, stopped: bool = False) -> Written:
    return Written(folder.copied, folder.unchanged, removed, list(folder.failed), stopped)
