"""Compare two ways to select a bundle's faces: the best ones, or good and diverse ones.

    PYTHONPATH=src python scripts/benchmarks/selection.py [PHOTOS] [--pack PACK] [--rounds 8] [--least 12]

PHOTOS holds a folder for each person; by default it is ../shared/faces/lfw_dev. Of each person with at
least so many photos a quarter is held out, in several rounds with other ones. Of the rest n faces are
chosen; their raw embeddings are averaged, as consumers do; and the mean is compared with each photo held
out, by cosine similarity. Printed are the means over people, the ratio, and how surely it is not 1: the
mean difference of a person's two values in units of its standard error. Where a person has no more than n
faces, both choices are the same; `chosen of` says from how many faces on average.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesets.clustering.people.prototypes import spread_out
from facesets.imaging.decode import decode
from facesets.imaging.quality import known_pose, quality
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.records import Faces, Float32, Int64

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SIZES = 5, 8, 30
HELD_OUT = 4


@dataclass(frozen=True)
class Person:
    """The faces of one person, one per photo, and their unscaled embeddings."""

    name: str
    faces: Faces
    raw: Float32


def main() -> None:
    """Embed the photos and print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="?", type=Path, default=SHARED / "faces" / "lfw_dev")
    parser.add_argument("--pack", type=Path, default=SHARED / "models" / "buffalo_test")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--least", type=int, default=12, help="photos of a person")
    given = parser.parse_args()
    embedder = LocalEmbedder(read_pack(given.pack), det_size=320, min_det_score=0.5)
    folders = sorted(each for each in given.photos.iterdir() if each.is_dir())
    enough = [each for each in folders if len([*each.glob("*.jpg")]) >= given.least]
    people = [read_person(each, embedder) for each in enough]
    print(f"{len(people)} people, {sum(len(each.raw) for each in people)} photos, {given.rounds} rounds")
    print(f"{'n':>3} {'best':>8} {'diverse':>8} {'ratio':>8} {'sigmas':>7} {'won by':>9} {'chosen of':>10}")
    for size in SIZES:
        print(row(size, people, given.rounds))


def read_person(folder: Path, embedder: LocalEmbedder) -> Person:
    """Return the face in the middle of each photo, without outliers, who are bystanders."""
    faces, raw = [], []
    for path in sorted(folder.glob("*.jpg")):
        pixels = decode(path).pixels
        (found,) = embedder.embed([pixels])
        if not len(found):
            continue
        middle = np.array(pixels.shape[1::-1]) / 2
        centre = (found.box[:, :2] + found.box[:, 2:]) / 2
        one = int(np.argmin(np.linalg.norm(centre - middle, axis=1)))
        face = found.take(slice(one, one + 1))
        faces.append(face)
        raw.append(embedder.raw_embeddings(pixels, face.kps))
    together, vectors = Faces.concatenate(faces), np.concatenate(raw)
    mean = unit(together.embedding.mean(axis=0))
    own = together.embedding @ mean > 0.55  # as `export-swap`'s gate
    return Person(folder.name, together.take(own), vectors[own])


def row(size: int, people: list[Person], rounds: int) -> str:
    """Return one line of the table."""
    pairs, counts = [], []
    for person in people:
        of_person = [one_round(size, person, seed) for seed in range(rounds)]
        pairs.append(np.mean([pair for pair, _ in of_person], axis=0))
        counts += [count for _, count in of_person]
    best, diverse = np.mean(pairs, axis=0)
    apart = np.array([pair[1] - pair[0] for pair in pairs])
    error = apart.std(ddof=1) / np.sqrt(len(apart))
    sigmas = apart.mean() / error if error > 0 else 0.0
    won = f"{int((apart > 0).sum())} of {len(apart)}"
    return (
        f"{size:>3} {best:>8.4f} {diverse:>8.4f} {diverse / best:>8.4f} {sigmas:>7.1f} {won:>9} "
        f"{np.mean(counts):>10.1f}"
    )


def one_round(size: int, person: Person, seed: int) -> tuple[tuple[float, float], int]:
    """Return the results of the best and of the diverse faces, and the number of candidates."""
    order = np.random.default_rng(seed).permutation(len(person.raw))
    held, rest = np.split(order, [len(order) // HELD_OUT])
    rest = np.sort(rest)
    score = quality(person.faces).total
    ranked = rest[np.argsort(-score[rest], kind="stable")]
    pose = known_pose(person.faces)
    diverse = ranked[spread_out(person.faces.embedding[ranked], pose[ranked], score[ranked], size)]
    return (reached(person, ranked[:size], held), reached(person, diverse, held)), len(ranked)


def reached(person: Person, chosen: Int64, held: Int64) -> float:
    """Return the mean similarity of the mean of chosen faces to those held out."""
    return float((person.faces.embedding[held] @ unit(person.raw[chosen].mean(axis=0))).mean())


def unit(vector: Float32) -> Float32:
    """Return a vector scaled to unit length."""
    scaled: Float32 = vector / np.linalg.norm(vector)
    return scaled


if __name__ == "__main__":
    main()
