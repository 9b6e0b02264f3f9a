"""A small library on real photos, embedded once: people, a crowd, copies, and what is no face."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import read_pack
from facesets.operations.embed import embed
from facesets.operations.options import EmbedOptions
from facesets.progress import SilentProgress
from facesets.sources.folders import FolderSource
from facesets.stop import Stop
from facesets.store.npz.cache import Cache
from tests.photos import wide_picture

PEOPLE = ("Hugo_Chavez", "Ariel_Sharon", "Colin_Powell", "Gloria_Macapagal_Arroyo")
STRANGERS = ("Aaron_Eckhart", "Bob_Hope", "Celine_Dion")


@dataclass(frozen=True)
class Library:
    """Photos, and the cache that they are embedded in."""

    photos: Path
    cache: Path

    @property
    def store(self) -> Cache:
        """The cache, opened anew."""
        return Cache(self.cache)


@pytest.fixture(scope="session")
def embedder(pack_dir: Path) -> LocalEmbedder:
    """The detector and recogniser that the library is embedded with; also the loader's settings."""
    return LocalEmbedder(read_pack(pack_dir), det_size=640, min_det_score=0.5)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory, lfw_dir: Path, embedder: LocalEmbedder) -> Library:
    """The library that no test changes."""
    root = tmp_path_factory.mktemp("library")
    photos = root / "photos"
    photos.mkdir()
    for person in (*PEOPLE, *STRANGERS):
        count = 12 if person in PEOPLE else 3
        for photo in sorted((lfw_dir / person).glob("*.jpg"))[:count]:
            shutil.copy2(photo, photos)
    first = sorted((lfw_dir / "Hugo_Chavez").glob("*.jpg"))[0]
    (photos / "album").mkdir()
    shutil.copy2(first, photos / "album" / "the same bytes.jpg")
    Image.open(first).resize((200, 200)).save(photos / "smaller.jpg", quality=90)
    pair = [sorted((lfw_dir / name).glob("*.jpg"))[14] for name in ("Hugo_Chavez", "Ariel_Sharon")]
    wide_picture(pair, 600, 300).save(photos / "two people.png")
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(photos / "nobody.png")
    library = Library(photos, root / "cache.npz")
    store = library.store
    store.require(embedder.settings)
    with store.writing(embedder.settings):
        embed(FolderSource(photos), store, embedder, EmbedOptions(), progress=SilentProgress(), stop=Stop())
    return library


@pytest.fixture
def library(tmp_path: Path, pristine: Library) -> Library:
    """The library with a cache of one's own; the photos are shared."""
    cache = tmp_path / "cache.npz"
    shutil.copy2(pristine.cache, cache)
    return Library(pristine.photos, cache)
