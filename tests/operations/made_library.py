"""A store of made-up people whose photos are tiny files, for runs by the hundred."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facesets.exports.bundle import png_bytes
from facesets.records import CacheSettings, Collection, Faces, FileRecord, ImageRecord, Images, Pixels
from tests.store.made import SETTINGS

DIMENSION = 64


@dataclass
class MadeStore:
    """Photos of people known by number; what is added is embedded at once.

    Two faces of one person are at a cosine distance of about 0.3, of two people of about 1.
    """

    root: Path
    rng: random.Random
    shown: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    identity: str = "made-up"
    digests: dict[str, bytes] = field(default_factory=dict)
    names_file: Path | None = None

    @property
    def label(self) -> str:
        return "made-up people"

    @property
    def settings(self) -> CacheSettings:
        return SETTINGS

    def add(self, *people: int) -> str:
        """Add a photo of these people, and return its path."""
        number = len(self.shown)
        path = self.root / f"photo_{number:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.picture(number, people))
        self.digests[str(path)] = _digest(path)
        self.shown.append((str(path), people))
        return str(path)

    def move(self, root: Path) -> None:
        """Give the folder of photos another name."""
        self.root.rename(root)
        self.shown = [(str(root / Path(path).name), people) for path, people in self.shown]
        self.root = root

    def picture(self, number: int, people: tuple[int, ...]) -> bytes:
        """What the file of a photo holds; no two are the same."""
        return f"photo {number} of {people}".encode()

    def load(self) -> Collection:
        vectors, image = [], []
        for row, (_, people) in enumerate(self.shown):
            for place, person in enumerate(people):
                centre = _unit(np.random.default_rng(person))
                own = _unit(np.random.default_rng(1000 + 7 * row + place))
                vectors.append(centre + 0.65 * own)
                image.append(row)
        embedding = np.array(vectors, np.float32).reshape(-1, DIMENSION)
        embedding /= np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-9)
        count, rows = len(embedding), np.array(image, np.int64)
        box = np.tile(np.array([10, 10, 210, 210], np.float32), (count, 1))
        kps = np.tile(
            np.array([[70, 90], [150, 90], [110, 130], [80, 170], [140, 170]], np.float32), (count, 1, 1)
        )
        faces = Faces(
            image=rows,
            box=box,
            kps=kps,
            det_score=np.full(count, 0.9, np.float32),
            embedding=embedding,
            face_short=np.full(count, 200, np.float32),
            blur=np.full(count, 200, np.float32),
        )
        digests = [self.digests.get(path) or _digest(Path(path)) for path, _ in self.shown]
        images = Images(
            sha256=np.array(digests, "S64"),
            width=np.full(len(digests), 640),
            height=np.full(len(digests), 480),
            taken=np.full(len(digests), "NaT", "datetime64[s]"),
            fingerprint=np.zeros((len(digests), 32), np.uint8),
            paths=tuple((path,) for path, _ in self.shown),
        )
        return Collection(images, faces, SETTINGS)

    def files(self) -> Mapping[str, FileRecord]:
        return {}

    def has_image(self, sha256: str) -> bool:
        return sha256.encode() in self.load().images.sha256

    def has_images(self, sha256: Sequence[str]) -> set[str]:
        return {digest for digest in sha256 if self.has_image(digest)}

    def writing(self, settings: CacheSettings) -> AbstractContextManager[None]:
        raise NotImplementedError

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        raise NotImplementedError

    def forget_paths(self, paths: Sequence[str]) -> None:
        raise NotImplementedError

    def relocate_paths(self, old: str, new: str, paths: Mapping[str, str]) -> None:
        raise NotImplementedError

    def annotate(self, images: Sequence[ImageRecord]) -> None:
        raise NotImplementedError

    def people_by_face(self) -> dict[str, int]:
        """Who each face is."""
        people = [person for _, shown in self.shown for person in shown]
        return dict(zip(self.load().face_ids(), people, strict=True))


class DrawnStore(MadeStore):
    """The same with photos that can be decoded."""

    def picture(self, number: int, people: tuple[int, ...]) -> bytes:
        """One plain colour."""
        return png_bytes(np.full((240, 240, 3), (number % 250, number // 250, len(people)), np.uint8))


class OneFaceEverywhere:
    """Finds in every crop one face where it should be; export it without asking whose it is."""

    settings: CacheSettings = SETTINGS

    def embed(self, pictures: Sequence[Pixels]) -> list[Faces]:
        return [_face_in_the_middle(picture.shape[0]) for picture in pictures]


def _face_in_the_middle(edge: int) -> Faces:
    embedding = np.zeros((1, DIMENSION), np.float32)
    embedding[:, 0] = 1
    return Faces(
        image=np.zeros(1, np.int64),
        box=np.array([[edge / 4, edge / 4, edge * 3 / 4, edge * 3 / 4]], np.float32),
        kps=np.full((1, 5, 2), edge / 2, np.float32),
        det_score=np.full(1, 0.9, np.float32),
        embedding=embedding,
        face_short=np.full(1, edge / 2, np.float32),
        blur=np.full(1, 200, np.float32),
    )


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).hexdigest().encode()


def _unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.standard_normal(DIMENSION)
    return vector / np.linalg.norm(vector)
