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
from facesets.operations.options import VERIFY_MIN_DET_SCORE, EmbedOptions
from facesets.progress import SilentProgress
from facesets.sources.folders import FolderSource
from facesets.stop import Stop
from facesets.store.npz.cache import Cache
from tests.fixtures.remembering import Remembering
from tests.once import made_once
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
def checker(pack_dir: Path) -> Remembering:
    """What crops are checked with; it computes the faces of equal crops once."""
    return Remembering(LocalEmbedder(read_pack(pack_dir), det_size=640, min_det_score=VERIFY_MIN_DET_SCORE))


@pytest.fixture(scope="session")
def pristine(
    run_dir: Path, tmp_path_factory: pytest.TempPathFactory, lfw_dir: Path, embedder: LocalEmbedder
) -> Library:
    """The library that no test changes. All processes copy the one that the first of them embeds."""
    made = made_once(run_dir / "library_photos", lambda folder: _make_photos(folder, lfw_dir))
    cache = made_once(run_dir / "library", lambda folder: _embed(made, folder / "cache.npz", embedder))
    root = tmp_path_factory.mktemp("library")
    library = Library(shutil.copytree(made, root / "photos"), root / "cache.npz")
    shutil.copy2(cache / "cache.npz", library.cache)
    paths = {path: str(library.photos / Path(path).relative_to(made)) for path in library.store.files()}
    store = library.store
    with store.writing(embedder.settings):
        store.relocate_paths(str(made), str(library.photos), paths)
    return library


def _make_photos(folder: Path, lfw_dir: Path) -> None:
    for person in (*PEOPLE, *STRANGERS):
        count = 12 if person in PEOPLE else 3
        for photo in sorted((lfw_dir / person).glob("*.jpg"))[:count]:
            shutil.copy2(photo, folder)
    first = sorted((lfw_dir / "Hugo_Chavez").glob("*.jpg"))[0]
    (folder / "album").mkdir()
    shutil.copy2(first, folder / "album" / "the same bytes.jpg")
    Image.open(first).resize((200, 200)).save(folder / "smaller.jpg", quality=90)
    pair = [sorted((lfw_dir / name).glob("*.jpg"))[14] for name in ("Hugo_Chavez", "Ariel_Sharon")]
    wide_picture(pair, 600, 300).save(folder / "two people.png")
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(folder / "nobody.png")


def _embed(photos: Path, cache: Path, embedder: LocalEmbedder) -> None:
    store = Cache(cache)
    store.require(embedder.settings)
    with store.writing(embedder.settings):
        embed(FolderSource(photos), store, embedder, EmbedOptions(), progress=SilentProgress(), stop=Stop())


@pytest.fixture
def library(tmp_path: Path, pristine: Library) -> Library:
    """The library with a cache of one's own; the photos are shared."""
    cache = tmp_path / "cache.npz"
    shutil.copy2(pristine.cache, cache)
    return Library(pristine.photos, cache)
