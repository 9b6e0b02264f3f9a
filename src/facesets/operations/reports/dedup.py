"""Report duplicates: files with the same bytes, and images that look the same. Nothing is deleted."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facesets.clustering.graph import join_pairs
from facesets.errors import UnreadableImage
from facesets.file_records import FileRecord
from facesets.files import atomic_write, mtime_ns_of
from facesets.imaging.duplicates import close_pairs, hamming, has_detail
from facesets.imaging.originals import read_row
from facesets.imaging.sharpness import sharpness
from facesets.interfaces import Store
from facesets.operations.options.results import DedupOptions
from facesets.plurals import counted
from facesets.records import Images, Int64
from facesets.result import Result
from facesets.results.duplicates_report import DuplicatesReport, IdenticalFiles, NearDuplicate, NearDuplicates
from facesets.results.manifest import Failure, provenance
from facesets.results.manifest_json import manifest_bytes
from facesets.work import Work

# Recompressing moves the Laplacian variance by some percent either way: such images are equally sharp,
# and the earlier time decides, then the larger file.
_EQUAL_SHARPNESS = 0.05


def dedup(store: Store, report: Path, options: DedupOptions, *, work: Work) -> Result:
    """Find images that lie at several paths, and images that look the same.

    Parameters
    ----------
    report : Path
        Where the findings are written, as JSON.

    Raises
    ------
    CannotWrite
        The report cannot be written.
    """
    collection = store.load()
    images = collection.images
    files = store.files()
    there = _Files(files)
    identical = _identical(images, there)
    work.progress.begin(f"Comparing {counted(len(images), 'photo')}")
    groups = similar_groups(images, max_bits=options.max_bits)
    work.progress.end()
    failed: list[Failure] = []
    near: list[NearDuplicates] = []
    work.progress.begin("Choosing which to keep", len(groups))
    for rows in groups:
        if work.stop.requested:
            break
        near += _ranked(images, rows, there, options.max_bits, failed)
        work.progress.advance()
    work.progress.end()
    counts = {
        "images": len(images),
        "identical_groups": len(identical),
        # Removable: all members of a group except one.
        "spare_files": sum(len(group.paths) - 1 for group in identical),
        "near_groups": len(near),
        "spare_images": sum(len(group.images) - 1 for group in near),
        # Paths left out of groups: links, further names of a file, missing or changed files.
        "left_out": there.left_out,
    }
    if not options.dry_run and not work.stop.requested:
        found = DuplicatesReport(
            made=provenance(store, collection.settings, options),
            counts=counts,
            identical=tuple(identical),
            near=tuple(near),
            failed=tuple(failed),
        )
        with atomic_write(report) as file:
            file.write(manifest_bytes(found))
    return Result(
        report=str(report),
        **counts,
        failed=len(failed),
        failures=failed,
        dry_run=options.dry_run,
        stopped=work.stop.requested,
    )


def similar_groups(images: Images, *, max_bits: int) -> list[Int64]:
    """Return rows of images connected by chains of near-duplicates, in groups of two or more."""
    telling = np.flatnonzero(has_detail(images.fingerprint))
    pairs = close_pairs(images.fingerprint[telling], max_bits=max_bits)
    if not len(pairs.first):
        return []
    labels = join_pairs(len(images), telling[pairs.first], telling[pairs.second])
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    return sorted((rows for rows in groups if len(rows) > 1), key=lambda rows: int(rows[0]))


class _Files:
    """The paths that hold a file of their own: only these can be reported as duplicates."""

    def __init__(self, known: Mapping[str, FileRecord]) -> None:
        self._known = known
        self._seen: dict[tuple[str, ...], tuple[str, ...]] = {}

    @property
    def left_out(self) -> int:
        """The number of requested paths without one."""
        return sum(len(paths) - len(real) for paths, real in self._seen.items())

    def among(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Return the paths of unchanged files: no links, and one path for each file, in order."""
        if paths not in self._seen:
            best: dict[tuple[int, int], str] = {}
            for path in paths:
                status = self._status(path)
                if status is None:
                    continue
                inode = (status.st_dev, status.st_ino)
                if inode not in best or (_leads_by_links(best[inode]) and not _leads_by_links(path)):
                    best[inode] = path
            self._seen[paths] = tuple(path for path in paths if path in best.values())
        return self._seen[paths]

    def _status(self, path: str) -> os.stat_result | None:
        try:
            status = os.lstat(path)
        except (OSError, ValueError):
            return None
        known = self._known.get(path)
        changed = known is not None and (
            known.size != status.st_size or known.mtime_ns not in (-1, mtime_ns_of(status))
        )
        return None if changed or not stat.S_ISREG(status.st_mode) else status

    def size(self, paths: Sequence[str]) -> int:
        """Return the size of the file at these paths."""
        return self._known[paths[0]].size if paths[0] in self._known else 0


def _leads_by_links(path: str) -> bool:
    return os.path.realpath(path) != path


def _identical(images: Images, there: _Files) -> list[IdenticalFiles]:
    return [
        IdenticalFiles(images.sha256[row].decode(), there.size(real), real[0], real)
        for row, paths in enumerate(images.paths)
        if len(paths) > 1 and len(real := there.among(paths)) > 1
    ]


def _ranked(
    images: Images, rows: Int64, there: _Files, max_bits: int, failed: list[Failure]
) -> list[NearDuplicates]:
    """Split a chain of near-duplicates into groups around the images to keep.

    Every member is then within the limit of the image to keep, even in long chains.
    """
    real = {int(row): there.among(images.paths[row]) for row in rows}
    rows = np.array([row for row in rows if real[int(row)]], np.int64)
    sizes = {int(row): there.size(real[int(row)]) for row in rows}
    sharp = _sharpness_where_tied(images, rows, failed)
    left = sorted((int(row) for row in rows), key=lambda row: _worth(images, row, sharp, sizes))
    groups = []
    while left:
        keep = left[0]
        bits = hamming(images.fingerprint[left], images.fingerprint[keep])
        members = [(row, int(b)) for row, b in zip(left, bits, strict=True) if b <= max_bits]
        taken = {row for row, _ in members}
        left = [row for row in left if row not in taken]
        if len(members) > 1:
            entries = tuple(_entry(images, row, real[row], sharp, sizes[row], b) for row, b in members)
            groups.append(NearDuplicates(images.sha256[keep].decode(), entries))
    return groups


def _worth(
    images: Images, row: int, sharp: Mapping[int, float], sizes: Mapping[int, int]
) -> tuple[float, ...]:
    """Sort key, best first: resolution, sharpness, the earliest capture time, size of the file, the row.

    Photos that were sent or edited often lack the capture time, or have that of the change.
    """
    area = int(images.width[row]) * int(images.height[row])
    step = np.floor(np.log(max(sharp.get(row, 0.0), 1e-3)) / np.log1p(_EQUAL_SHARPNESS))
    taken = images.taken[row]
    time = np.inf if np.isnat(taken) else float(taken.astype("M8[s]").astype(np.int64))
    return (-area, -float(step), time, -sizes[row], row)


def _sharpness_where_tied(images: Images, rows: Int64, failed: list[Failure]) -> dict[int, float]:
    """Measure the sharpness of images that share their resolution with another one of the group."""
    area = images.width[rows] * images.height[rows]
    values, counts = np.unique(area, return_counts=True)
    tied = rows[np.isin(area, values[counts > 1])]
    measured = {}
    for row in tied:
        try:
            pixels = read_row(images, int(row))
        except UnreadableImage as error:
            failed.append(Failure(images.paths[row][0], error.reason))
            continue
        whole = np.array([0, 0, pixels.shape[1], pixels.shape[0]], np.float32)
        measured[int(row)] = sharpness(pixels, whole)
    return measured


def _entry(
    images: Images, row: int, paths: tuple[str, ...], sharp: Mapping[int, float], size: int, bits: int
) -> NearDuplicate:
    return NearDuplicate(
        sha256=images.sha256[row].decode(),
        paths=paths,
        width=int(images.width[row]),
        height=int(images.height[row]),
        size=size,
        sharpness=round(sharp[row], 2) if row in sharp else None,
        bits=bits,
    )
