"""Measure recognizers' similarities, and how near `auto` comes to the best cut, on known people.

    PYTHONPATH=src python scripts/benchmarks/recognizer.py [NAME=FILE …] [--albums 20] [--unseen]

NAME is the stem of a recognizer's file in `facesets.clustering.known_recognizers`. FILE is a cache, of which
the face in the middle of each photo counts and its folder is the person, or holds `embedding`, `name` and
`path`; by default it is w600k_mbf's ../shared/faces/lfw_dev_embeddings.npz. Given several, they are
compared on the photos that all of them have, in the same albums:

- everybody; halves of the people;
- strangers: one photo of most people, all photos of a few;
- two each: two photos of most people who have two, and no others;
- small: 30 to 300 photos of random people.

The best cut is that of average linkage, chosen for each album with the truth known; the best common
cut is one for all albums of a kind. With --unseen a recognizer's numbers are measured on one half of the
people, and albums are made of the other half.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from facesets.clustering import Calibration, average_linkage, calibrate, cluster_auto, evaluate, numbered
from facesets.clustering.centroids import coherence
from facesets.clustering.known_recognizers import PairModel
from facesets.clustering.vectors import Float32, Float64, Int64, unit_rows
from facesets.store.npz.cache import Cache

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
MIN_FACES = 5
MANY_FACES = 10
KNOWN_PEOPLE = 6
TWO_EACH = 0.8
SMALL = 30, 300
SPLITS = 3
CUTS = np.arange(0.3, 0.8, 0.01)
Album = tuple[str, Int64]


def main() -> None:
    """Read the vectors and print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = f"w600k_mbf={SHARED / 'faces' / 'lfw_dev_embeddings.npz'}"
    parser.add_argument("recognizer", nargs="*", default=[usual], metavar="NAME=FILE")
    parser.add_argument("--albums", type=int, default=20, help="albums of each kind")
    parser.add_argument("--unseen", action="store_true")
    given = parser.parse_args()
    found = {name: vectors(Path(file)) for name, file in (one.split("=", 1) for one in given.recognizer)}
    photos = sorted(set.intersection(*(set(of) for of in found.values())))
    person = numbered(
        np.unique([Path(photo).parent.name for photo in photos], return_inverse=True)[1].astype(np.int64)
    )
    rows = {name: np.stack([of[photo] for photo in photos]) for name, of in found.items()}
    for name, all_rows in rows.items():
        print(f"{name}, {len(photos)} photos: {measure(all_rows, person)}")
    for name, all_rows in rows.items():
        print(f"{name}: kind, albums, faces: auto mean (worst); best cut; gap mean (worst); best common cut")
        judge(
            unseen(name, all_rows, person, given.albums)
            if given.unseen
            else seen(name, all_rows, person, given.albums),
            all_rows,
            person,
        )


def vectors(path: Path) -> Mapping[str, Float32]:
    """Return the unit row of each photo, by the photo's folder and name."""
    with np.load(path) as arrays:
        if "path" in arrays:
            return dict(zip(arrays["path"].tolist(), unit_rows(arrays["embedding"]), strict=True))
    collection = Cache(path.absolute()).load()
    faces, images = collection.faces, collection.images
    middle = np.stack([images.width, images.height], axis=1)[faces.image] / 2
    away = np.abs((faces.box[:, :2] + faces.box[:, 2:]) / 2 - middle).sum(axis=1)
    order = np.lexsort((away, faces.image))
    main_face = order[np.unique(faces.image[order], return_index=True)[1]]
    photos = ["/".join(Path(images.paths[image][0]).parts[-2:]) for image in faces.image[main_face]]
    return dict(zip(photos, unit_rows(faces.embedding[main_face]), strict=True))


def measure(rows: Float32, person: Int64) -> Calibration:
    """Return the values of `facesets.clustering.known_recognizers`; each person counts equally."""
    size, inside = coherence(rows, person)
    i, j = np.triu_indices(len(rows), 1)
    similarity = np.einsum("ij,ij->i", rows[i], rows[j]).astype(np.float64)
    same = person[i] == person[j]
    own, weight = similarity[same], 1.0 / (size * (size - 1))[person[i[same]]]
    mean = np.average(own, weights=weight)
    others, other_weight = similarity[~same], 1.0 / (size[person[i]] * size[person[j]])[~same]
    order = np.argsort(-others)
    highest = order[: int(np.searchsorted(np.cumsum(other_weight[order]), 0.01 * other_weight.sum()))]
    reached = float(others[highest].min())
    middle = np.average(others, weights=other_weight)
    return Calibration(
        typical=round(float(np.median(inside[size >= MIN_FACES])), 3),
        middle=round(float(middle), 3),
        spread=round(float(np.average((others - middle) ** 2, weights=other_weight)) ** 0.5, 3),
        faces=len(rows),
        source="measured on these people",
        pairs=PairModel(
            mean=round(float(mean), 3),
            spread=round(float(np.average((own - mean) ** 2, weights=weight)) ** 0.5, 3),
            reached=round(reached, 3),
            decay=round(float(np.average(others[highest], weights=other_weight[highest])) - reached, 4),
        ),
    )


def albums(person: Int64, people: Int64, count: int) -> Iterator[Album]:
    """Return kinds and rows of albums of these people."""
    faces = np.bincount(person)
    theirs = np.flatnonzero(np.isin(person, people))
    yield "everybody", theirs
    for seed in range(count):
        rng = np.random.default_rng(seed)
        for half in np.array_split(rng.permutation(people), 2):
            yield "half", np.flatnonzero(np.isin(person, half))
        known = rng.permutation(people[faces[people] >= MANY_FACES])[:KNOWN_PEOPLE]
        shuffled = rng.permutation(theirs)
        one_each = shuffled[np.unique(person[shuffled], return_index=True)[1]]
        yield "strangers", np.union1d(one_each, np.flatnonzero(np.isin(person, known)))
        several = rng.permutation(people[faces[people] >= 2])
        two = [
            rng.choice(np.flatnonzero(person == one), 2, replace=False)
            for one in several[: int(TWO_EACH * len(several))]
        ]
        yield "two each", np.sort(np.concatenate(two))
        yield "small", small(person, rng.permutation(people), rng)


def small(person: Int64, people: Int64, rng: np.random.Generator) -> Int64:
    """Return some photos of each of these people, until there are enough."""
    chosen: list[Int64] = []
    enough = int(rng.integers(*SMALL))
    for one in people:
        photos = rng.permutation(np.flatnonzero(person == one))
        chosen.append(photos[: int(rng.integers(1, len(photos) + 1))])
        if sum(map(len, chosen)) >= enough:
            break
    return np.sort(np.concatenate(chosen))


def seen(name: str, rows: Float32, person: Int64, count: int) -> Iterator[tuple[str, Int64, Calibration]]:
    """Return albums of all people, calibrated as the program does."""
    for kind, some in albums(person, np.unique(person), count):
        yield kind, some, calibrate(rows[some], recognizer=name)


def unseen(name: str, rows: Float32, person: Int64, count: int) -> Iterator[tuple[str, Int64, Calibration]]:
    """Return albums of one half of the people, with a recognizer's model measured on the other half."""
    for seed in range(SPLITS):
        halves = np.array_split(np.random.default_rng(seed).permutation(int(person.max()) + 1), 2)
        for people, others in (halves, halves[::-1]):
            rest = np.flatnonzero(np.isin(person, others))
            measured = measure(rows[rest], numbered(person[rest]))
            for kind, some in albums(person, np.sort(people), max(1, count // (2 * SPLITS))):
                usual = calibrate(rows[some], recognizer=name)
                if usual.pairs is not None:
                    usual = replace(usual, typical=measured.typical, pairs=measured.pairs)
                yield kind, some, usual


def judge(judged: Iterator[tuple[str, Int64, Calibration]], rows: Float32, person: Int64) -> None:
    """Print how `auto` does with albums of each kind, and average linkage at its best cuts."""
    autos: dict[str, list[Float64]] = defaultdict(list)
    cuts: dict[str, list[Float64]] = defaultdict(list)
    sizes: dict[str, list[int]] = defaultdict(list)
    for kind, some, calibration in judged:
        autos[kind].append(scores(cluster_auto(rows[some], calibration=calibration).labels, person[some]))
        cuts[kind].append(
            np.array(
                [
                    scores(average_linkage(rows[some], max_cosine_distance=float(cut)), person[some])
                    for cut in CUTS
                ]
            )
        )
        sizes[kind].append(len(some))
    for kind, auto in autos.items():
        ours, curves = np.array(auto), np.array(cuts[kind])
        best = curves[np.arange(len(curves)), curves.sum(axis=2).argmax(axis=1)]
        mean_curve = curves.mean(axis=0)
        common = mean_curve[mean_curve.sum(axis=1).argmax()]
        gap = best - ours
        print(
            f"  {kind:9s} {len(ours):3d} {np.mean(sizes[kind]):4.0f}: {both(ours.mean(axis=0))} "
            f"({both(ours.min(axis=0))}); {both(best.mean(axis=0))}; "
            f"{both(gap.mean(axis=0))} ({both(gap.max(axis=0))}); {both(common)}",
            flush=True,
        )


def scores(labels: Int64, person: Int64) -> Float64:
    """Return pairwise and BCubed F1."""
    found = evaluate(labels, person)
    return np.array([found.pairwise_f1, found.bcubed_f1])


def both(pair: Float64) -> str:
    """Format two scores."""
    return f"{pair[0]:.4f} / {pair[1]:.4f}"


if __name__ == "__main__":
    main()
