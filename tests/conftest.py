"""Real models and photos for every test, in a scrubbed environment."""

import gc
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from facesets.store.npz.cache import Cache
from tests.fixtures.made_networks import make_landmark_pack, make_small_pack
from tests.fixtures.once import made_once
from tests.fixtures.order import LONGEST_FIRST
from tests.fixtures.people import make_people
from tests.fixtures.program import REPOSITORY
from tests.fixtures.soak import QUICK
from tests.fixtures.vectors import People, many_people

# All that is loaded until the tests are collected stays: there is next to no garbage to seek.
gc.set_threshold(1_000_000)

pytest_plugins = [
    "tests.fixtures.face_models",
    "tests.fixtures.few_tags",
    "tests.fixtures.immich_contract",
    "tests.fixtures.networks_once",
    "tests.fixtures.packs",
    "tests.fixtures.postgres",
    "tests.fixtures.of_run",
    "tests.fixtures.photo_library",
    "tests.fixtures.website",
    "tests.fixtures.result_site",
    "tests.fixtures.chromium",
]

# How long one example takes says something about the machine and not about the product.
settings.register_profile("facesets", deadline=None)
settings.register_profile(QUICK, deadline=None, max_examples=25)
settings.load_profile("facesets")

SHARED = Path(os.environ.get("FACESETS_TEST_SHARED", REPOSITORY.parent / "shared"))
_SETTINGS = (
    *("FACESETS_", "IMMICH_", "DATABASE_", "PG"),
    # Settings of language models are removed: no test may spend money.
    *("ANTHROPIC_", "LLM_", "AWS_", "BEDROCK_", "BATCH_", "MIN_BATCH_"),
)


def pytest_report_header() -> list[str]:
    there = "found" if SHARED.is_dir() else "not there: others take their place"
    return [f"models and photos: {SHARED} ({there})", f"onnxruntime {onnxruntime.__version__}"]


def pytest_configure(config: pytest.Config) -> None:
    # xdist would begin with the files of most tests; the order below is by how long they take.
    config.option.loadscopereorder = False
    if "not slow" in config.option.markexpr:
        settings.load_profile(QUICK)
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Threads of one process that wait for work take the cores from the others.
        threadpool_limits(1, user_api="blas")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they use, and begin with the longest files, so that no process is left with one."""
    for item in items:
        for name in {"shared", "torch"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(name)
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_collection_finish() -> None:
    # What is loaded now stays to the end: garbage is not sought in it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def no_names_of_other_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests share caches: what people are called in the results of one does not reach those of another."""
    yield
    for shared in request.node.funcargs.values():
        cache = getattr(shared, "cache", None)
        if isinstance(cache, Path):
            Cache(cache).names_file.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def nobodys_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(_SETTINGS):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    for name, value in {
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_CACHE_HOME": home / ".cache",
        # Root has no library of its own in a home.
        "FACESETS_DATA": home / "library",
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }.items():
        monkeypatch.setenv(name, str(value))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Where models and photos are, on machines that have them. All that uses them takes them from here."""
    return SHARED


@pytest.fixture(scope="session")
def torch() -> None:
    """Skips where there is no PyTorch."""
    if find_spec("torch") is None:
        pytest.skip("`scripts/install --train` installs what training needs")


@pytest.fixture(scope="session")
def shared_dir(shared: Path) -> Path:
    """The directory of models and photos."""
    if not shared.is_dir():
        pytest.skip(f"needs models and photos in {shared} (set FACESETS_TEST_SHARED)")
    return shared


@pytest.fixture(scope="session")
def small_insightface_pack(shared: Path) -> Path:
    """Where a small pack of InsightFace's is, on machines that have it."""
    return shared / "models" / "buffalo_test"


@pytest.fixture(scope="session")
def pack_dir(small_insightface_pack: Path, request: pytest.FixtureRequest) -> Path:
    """A real model pack: a small one of InsightFace's, or where that is missing the open one."""
    if small_insightface_pack.is_dir():
        return small_insightface_pack
    open_pack: Path = request.getfixturevalue("open_pack")
    return open_pack


@pytest.fixture(scope="session")
def insightface_pack(small_insightface_pack: Path) -> Path:
    """A small pack of InsightFace's, for landmarks and for comparing with InsightFace itself."""
    if not small_insightface_pack.is_dir():
        pytest.skip(f"needs InsightFace's models in {small_insightface_pack} (set FACESETS_TEST_SHARED)")
    return small_insightface_pack


@pytest.fixture(scope="session")
def small_pack(small_insightface_pack: Path, run_dir: Path) -> Path:
    """A small pack of InsightFace's or, where that is missing, one of its shape that knows no faces."""
    if small_insightface_pack.is_dir():
        return small_insightface_pack
    return made_once(run_dir / "small_pack", make_small_pack)


@pytest.fixture(scope="session")
def landmark_pack(small_insightface_pack: Path, pack_dir: Path, run_dir: Path) -> Path:
    """A real model pack with landmarks, which are made up where InsightFace's models are missing."""
    if pack_dir == small_insightface_pack:
        return pack_dir
    return made_once(run_dir / "landmark_pack", lambda folder: make_landmark_pack(folder, pack_dir))


@pytest.fixture(scope="session")
def lfw_dir(shared: Path, run_dir: Path) -> Path:
    """Photos, a folder a person: LFW's, or where that is missing made ones under the same names."""
    lfw = shared / "faces" / "lfw_dev"
    return lfw if lfw.is_dir() else made_once(run_dir / "people", make_people)


@pytest.fixture(scope="session")
def real_lfw(shared: Path, lfw_dir: Path) -> Path:
    """As `lfw_dir`, for what made photos of eight people cannot show."""
    if not lfw_dir.is_relative_to(shared):
        pytest.skip(f"needs LFW's many people in {shared / 'faces'} (set FACESETS_TEST_SHARED)")
    return lfw_dir


@pytest.fixture(scope="session")
def lfw_photos(lfw_dir: Path) -> list[Path]:
    """All photos of the people folders, in order."""
    return sorted(lfw_dir.glob("*/*.jpg"))


@pytest.fixture(scope="session")
def real_people(shared: Path) -> People:
    """Vectors of LFW's many people, or where those are missing of made-up ones."""
    file = shared / "faces" / "lfw_dev_embeddings.npz"
    if not file.exists():
        return many_people()
    with np.load(file) as arrays:
        return People(arrays["embedding"].astype(np.float32), arrays["name"])


@pytest.fixture(autouse=True, scope="session")
def no_sync() -> Iterator[None]:
    """A process that is killed loses nothing that it wrote, so that there is no need to wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        # Which fails as `fsync` does where there is no such file.
        patch.setattr(os, "fsync", os.fstat)
        patch.setattr(os, "sync", lambda: None)
        yield
