"""`evaluate`: measure how well a clustering agrees with the truth, and find its worst errors."""

import csv
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesets.clustering import Scores
from facesets.clustering import evaluate as score
from facesets.clustering.poor_faces import Clarities
from facesets.errors import DamagedFile, Field, WrongUsage
from facesets.files import printable
from facesets.formats.plain_npz import read_columns
from facesets.operations.grouping.cluster import group_faces, shown_in
from facesets.operations.options.start import ClusterOptions
from facesets.records import Collection, Float32, Int64

PARENT_FOLDER = "parent-folder"


@dataclass(frozen=True, slots=True)
class Truth:
    """Faces with a known person.

    Attributes
    ----------
    embedding : float32 array of shape (n, d)
    name : array of texts of shape (n,)
    image : int64 array of shape (n,)
        Faces with the same number are in one image.
    row : int64 array of shape (n,)
        Row of each face in its collection.
    source : str
        The source of people: `PARENT_FOLDER`, or a file.
    unknown : int
        Named faces or photos without a face in the collection.
    recognizer : str, optional
        The file name of the network that made the embeddings, if it is known.
    clarity : uint8 array of shape (n,), optional
        How much each face shows (`Clarity`), if that is known.
    """

    embedding: Float32
    name: NDArray[np.str_]
    image: Int64
    row: Int64
    source: str
    unknown: int = 0
    recognizer: str | None = None
    clarity: Clarities | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One clustering and its scores."""

    method: str
    threshold: float | None
    scores: Scores


@dataclass(frozen=True, slots=True)
class WrongMerge:
    """A cluster of several people; `pairs` of faces are wrongly together."""

    people: tuple[tuple[str, int], ...]
    pairs: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WrongSplit:
    """A person in several clusters; `pairs` of faces are wrongly separate."""

    person: str
    pieces: tuple[int, ...]
    pairs: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All trials, the best first by pairwise and BCubed F1 together, and the worst errors of the best.

    `truth` is the source of people; `unknown` counts its faces or photos without a face here.
    """

    faces: int
    people: int
    truth: str
    unknown: int
    trials: list[Trial]
    merges: list[WrongMerge]
    splits: list[WrongSplit]


def evaluate(truth: Truth, trials: Sequence[ClusterOptions], *, worst: int = 10) -> Evaluation:
    """Cluster the faces in each of the given ways and compare with the ground truth.

    Raises
    ------
    WrongUsage
        No face has a known person.
    """
    if not len(truth.name):
        missing = f" ({truth.unknown} names have no face here)" if truth.unknown else ""
        raise WrongUsage(f"No face has a known person{missing}. Check {Field('truth')}.")
    results = []
    for options in trials:
        labels = group_faces(
            truth.embedding, truth.image, options, truth.recognizer, clarity=truth.clarity
        ).labels
        results.append((Trial(options.method, cut(options), score(labels, truth.name)), labels))
    results.sort(key=lambda result: -result[0].scores.pairwise_f1 - result[0].scores.bcubed_f1)
    labels = _noise_apart(results[0][1])
    return Evaluation(
        faces=len(truth.name),
        people=len(np.unique(truth.name)),
        truth=truth.source,
        unknown=truth.unknown,
        trials=[trial for trial, _ in results],
        merges=_merges(labels, truth)[:worst],
        splits=_splits(labels, truth)[:worst],
    )


def cut(options: ClusterOptions) -> float | None:
    """Return the threshold of the chosen method; None if the method measures it."""
    return float(options.min_cluster_size) if options.method == "hdbscan" else options.own_threshold()


def sweep(options: ClusterOptions, values: Iterable[float]) -> list[ClusterOptions]:
    """Return options of the same method at several thresholds, in its own measure.

    Raises
    ------
    WrongUsage
        The method has no threshold to vary.
    """
    return [options.with_own_threshold(value) for value in values]


def truth_of_folders(collection: Collection) -> Truth:
    """Name each photo's main face after the photo's folder.

    The main face is large and near the middle: the greatest area less twice the squared distance, as
    insightface's `get(max_num=1)` chooses. Others in the picture are bystanders and do not count.
    """
    rows = _main_faces(collection)
    image = collection.faces.image[rows]
    names = [Path(collection.images.paths[i][0]).parent.name for i in image]
    used = collection.settings.recognizer
    return Truth(
        collection.faces.embedding[rows],
        np.array(names, str),
        image,
        rows,
        PARENT_FOLDER,
        recognizer=used,
        clarity=shown_in(collection)[rows],
    )


def truth_of_csv(collection: Collection, path: Path) -> Truth:
    """Read a table with the columns `name` and one of `face` (`<sha256>#<ordinal>`) or `path`.

    A path stands for the photo's main face.

    Raises
    ------
    WrongUsage
        The file is missing or has other columns.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WrongUsage(f"Cannot read {printable(path)}: {error}. It must be a CSV file.") from error
    key = next((column for column in ("face", "path") if lines and column in lines[0]), None)
    if key is None or "name" not in lines[0]:
        raise WrongUsage(f"{printable(path)} needs a column `name`, and a column `face` or `path`.")
    if key == "face":
        row_of = {face: row for row, face in enumerate(collection.face_ids())}
    else:
        paths = collection.images.paths
        row_of = {
            name: int(row) for row in _main_faces(collection) for name in paths[collection.faces.image[row]]
        }
    known = {row_of[line[key]]: line["name"] for line in lines if line[key] in row_of}
    rows = np.array(sorted(known), np.int64)
    names = np.array([known[row] for row in rows.tolist()], str)
    unknown = len({line[key] for line in lines} - row_of.keys())
    faces, used = collection.faces, collection.settings.recognizer
    return Truth(
        faces.embedding[rows],
        names,
        faces.image[rows],
        rows,
        printable(path),
        unknown,
        recognizer=used,
        clarity=shown_in(collection)[rows],
    )


def truth_of_vectors(path: Path) -> Truth:
    """Read an `.npz` file with the arrays `embedding`, `name` and optionally `image`.

    Raises
    ------
    DamagedFile
        The file cannot be read or lacks an array.
    """
    try:
        arrays = read_columns(path)
        embedding = arrays["embedding"].astype(np.float32)
        name = arrays["name"].astype(str)
        image = arrays["image"].astype(np.int64) if "image" in arrays else np.arange(len(name))
        if embedding.ndim != 2 or not len(embedding) == len(name) == len(image):
            raise ValueError("the arrays must have one row for each face")  # noqa: TRY301 - one sentence for all
        length = np.linalg.norm(embedding, axis=1, keepdims=True)
        if not (length > 0).all():
            raise ValueError("an embedding is zero or not a number")  # noqa: TRY301 - as above
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedFile(
            f"{printable(path)} must be an .npz file with the arrays `embedding` (n, d) and `name` (n): "
            f"{error}."
        ) from error
    return Truth(embedding / length, name, image, np.arange(len(name)), printable(path))


def _main_faces(collection: Collection) -> Int64:
    """Return the row of each image's main face."""
    faces, images = collection.faces, collection.images
    middle = np.stack([images.width, images.height], axis=1)[faces.image] / 2
    offset = (faces.box[:, :2] + faces.box[:, 2:]) / 2 - middle
    area = np.prod(faces.box[:, 2:] - faces.box[:, :2], axis=1)
    weight = area - 2 * (offset**2).sum(axis=1)
    order = np.lexsort((-weight, faces.image))
    _, first = np.unique(faces.image[order], return_index=True)
    rows: Int64 = np.sort(order[first])
    return rows


def _noise_apart(labels: Int64) -> Int64:
    noise = labels < 0
    apart = labels.copy()
    apart[noise] = labels.max(initial=-1) + 1 + np.arange(noise.sum())
    return apart


def _merges(labels: Int64, truth: Truth) -> list[WrongMerge]:
    found = []
    for label in np.flatnonzero(np.bincount(labels) > 1):
        rows = np.flatnonzero(labels == label)
        names, counts = np.unique(truth.name[rows], return_counts=True)
        wrong = _pairs(len(rows)) - sum(_pairs(int(count)) for count in counts)
        if wrong:
            order = np.argsort(-counts, kind="stable")
            people = tuple((str(names[i]), int(counts[i])) for i in order)
            found.append(WrongMerge(people, wrong, tuple(truth.row[rows].tolist())))
    return sorted(found, key=lambda merge: -merge.pairs)


def _splits(labels: Int64, truth: Truth) -> list[WrongSplit]:
    found = []
    order = np.argsort(truth.name, kind="stable")
    names, starts = np.unique(truth.name[order], return_index=True)
    for name, rows in zip(names, np.split(order, starts[1:]), strict=True):
        pieces = np.sort(np.unique(labels[rows], return_counts=True)[1])[::-1]
        apart = _pairs(len(rows)) - sum(_pairs(int(piece)) for piece in pieces)
        if apart:
            by_piece = rows[np.argsort(labels[rows], kind="stable")]
            found.append(
                WrongSplit(str(name), tuple(pieces.tolist()), apart, tuple(truth.row[by_piece].tolist()))
            )
    return sorted(found, key=lambda split: -split.pairs)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
