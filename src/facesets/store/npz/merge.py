"""Merge parts of a cache: which rows stay, in which order, written to a file or memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from facesets.file_records import FileRecord
from facesets.records import Faces, Int64, unknown_column
from facesets.store.npz.columns import Column, let_go, write_columns
from facesets.store.npz.schema import Part, face_array_name, face_arrays, image_arrays, small_arrays

_ROWS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of several parts in merged order.

    Attributes
    ----------
    part, row : int64 arrays of shape (n,)
        Where each merged row comes from.
    """

    part: Int64
    row: Int64

    def __len__(self) -> int:
        return len(self.part)

    def gather(self, columns: Sequence[NDArray[Any]], start: int, stop: int) -> NDArray[Any]:
        """Gather the merged rows from `start` to `stop` of one column."""
        part, row = self.part[start:stop], self.row[start:stop]
        out = np.empty((len(part), *columns[0].shape[1:]), columns[0].dtype)
        for p in np.unique(part):
            chosen = part == p
            out[chosen] = columns[p][row[chosen]]
        return out

    def pieces(self, columns: Sequence[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """Yield the merged column, some rows at a time."""
        for start in range(0, len(self), _ROWS_AT_A_TIME):
            yield self.gather(columns, start, start + _ROWS_AT_A_TIME)
            for p in np.unique(self.part[start : start + _ROWS_AT_A_TIME]):
                let_go(columns[p])


@dataclass(frozen=True, slots=True)
class MergedParts:
    """Parts, and the plan to merge them."""

    parts: Sequence[Part]
    files: Sequence[FileRecord]
    images: Rows
    faces: Rows
    image_of_face: Int64


def plan(parts: Sequence[Part]) -> MergedParts:
    """Plan the merge: the last record of every image and path, in the position of the first."""
    files = list({record.path: record for part in parts for record in part.files}.values())
    images = _image_rows(parts)
    face_part, face_row, image_of_face = [], [], []
    new_rows = [np.full(len(part.sha256), -1, np.int64) for part in parts]
    for p, new_row in enumerate(new_rows):
        mine = np.flatnonzero(images.part == p)
        new_row[images.row[mine]] = mine
        image = new_row[parts[p].faces.image]
        rows = np.flatnonzero(image >= 0)
        face_part.append(np.full(len(rows), p, np.int64))
        face_row.append(rows)
        image_of_face.append(image[rows])
    image = np.concatenate(image_of_face)
    order = np.argsort(image, kind="stable")
    faces = Rows(np.concatenate(face_part)[order], np.concatenate(face_row)[order])
    return MergedParts(parts, files, images, faces, image[order])


def _image_rows(parts: Sequence[Part]) -> Rows:
    sha256 = np.concatenate([part.sha256 for part in parts])
    part = np.repeat(np.arange(len(parts)), [len(p.sha256) for p in parts])
    row = np.concatenate([np.arange(len(p.sha256)) for p in parts])
    _, first = np.unique(sha256, return_index=True)
    _, last_reversed = np.unique(sha256[::-1], return_index=True)
    last = len(sha256) - 1 - last_reversed
    order = last[np.argsort(first)]
    return Rows(part[order], row[order])


def write_merged(file: IO[bytes], merged: MergedParts) -> None:
    """Write the merged parts as one cache file, with memory independent of its size."""
    columns = {
        name: Column.of(array)
        for name, array in small_arrays(
            merged.parts[-1].settings, merged.files, merged.parts[0].identity
        ).items()
    }
    columns |= _columns(merged.images, [image_arrays(part) for part in merged.parts])
    columns |= _columns(merged.faces, _complete([face_arrays(part) for part in merged.parts]))
    columns[face_array_name("image")] = Column.of(merged.image_of_face)
    write_columns(file, columns)


def _columns(rows: Rows, parts: Sequence[dict[str, NDArray[Any]]]) -> dict[str, Column]:
    return {
        name: Column(array.dtype, (len(rows), *array.shape[1:]), rows.pieces([part[name] for part in parts]))
        for name, array in parts[0].items()
    }


def _complete(parts: Sequence[dict[str, NDArray[Any]]]) -> list[dict[str, NDArray[Any]]]:
    """Give every part the same arrays, filling missing optional ones with unknown values."""
    names = [
        face_array_name(column)
        for column in Faces.__dataclass_fields__
        if any(face_array_name(column) in part for part in parts)
    ]
    return [
        {
            name: part[name] if name in part else unknown_column(name.removeprefix("face_"), _length(part))
            for name in names
        }
        for part in parts
    ]


def _length(part: dict[str, NDArray[Any]]) -> int:
    return len(part[face_array_name("image")])


def collapse(merged: MergedParts) -> Part:
    """Merge the parts in memory; a single part without replacements is returned unchanged."""
    if len(merged.parts) == 1 and len(merged.images) == len(merged.parts[0].sha256):
        return replace(merged.parts[0], files=merged.files)
    images = {
        name: merged.images.gather([image_arrays(part)[name] for part in merged.parts], 0, len(merged.images))
        for name in image_arrays(merged.parts[0])
    }
    parts = _complete([face_arrays(part) for part in merged.parts])
    faces = {
        column: merged.faces.gather([part[name] for part in parts], 0, len(merged.faces))
        for column in Faces.__dataclass_fields__
        if (name := face_array_name(column)) in parts[0]
    }
    return Part(
        settings=merged.parts[-1].settings,
        files=merged.files,
        **{name.removeprefix("image_"): array for name, array in images.items()},
        faces=Faces(**faces).with_image(merged.image_of_face),
        identity=merged.parts[0].identity,
    )
