"""Made-up images and faces, exact to the bit."""

import hashlib

import numpy as np

from facesets.records import CacheSettings, Faces, FileRecord, ImageRecord

SETTINGS = CacheSettings(
    pack="made",
    recogniser="made.onnx",
    recogniser_sha256="aa" * 32,
    dimension=512,
    detector="found.onnx",
    detector_sha256="bb" * 32,
    det_size=640,
    min_det_score=0.5,
)


def made_faces(count: int, seed: int = 0, dimension: int = 512) -> Faces:
    """Random faces in random boxes."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, dimension)).astype(np.float32)
    corner = rng.uniform(0, 300, (count, 2))
    box = np.concatenate([corner, corner + rng.uniform(20, 300, (count, 2))], axis=1).astype(np.float32)
    return Faces(
        image=np.zeros(count, np.int64),
        box=box,
        kps=rng.uniform(0, 600, (count, 5, 2)).astype(np.float32),
        det_score=rng.uniform(0.5, 1, count).astype(np.float32),
        embedding=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        face_short=(box[:, 2:] - box[:, :2]).min(axis=1),
        blur=rng.uniform(0, 500, count).astype(np.float32),
    )


def made_image(name: str, faces: int = 2, taken: str = "NaT", seed: int | None = None) -> ImageRecord:
    """An image whose bytes are its name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    number = int(digest[:8], 16) if seed is None else seed
    return ImageRecord(
        sha256=digest,
        width=640,
        height=480,
        taken=np.datetime64(taken, "s"),
        fingerprint=bytes.fromhex(digest),
        faces=made_faces(faces, number),
    )


def made_file(path: str, image: ImageRecord, mtime_ns: int = 1) -> FileRecord:
    """A path that leads to an image."""
    return FileRecord(path, 1000, mtime_ns, image.sha256)
