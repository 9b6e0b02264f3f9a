"""Which pack is taken: the flag's, the cache's own wherever it was used from, the settings', the default."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from facesets.assembly.models import detection_options, models_like
from facesets.assembly.packs import get_pack, refuse_to_fetch_another
from facesets.assembly.stages import MAKERS, StageModels
from facesets.errors import MissingModelPack, RecognizerMismatch
from facesets.inference.local import LocalEmbedder
from facesets.inference.packs import find_pack, read_pack
from facesets.records import CacheSettings
from facesets.settings import Settings, load
from facesets.store.npz.cache import Cache
from facesets.work import Work
from tests.fixtures.notices import KeptNotices


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be fetched, which is known at once."""
    monkeypatch.setattr("facesets.remote.download._FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")


def models_of(path: Path) -> CacheSettings:
    return LocalEmbedder(read_pack(path), det_size=64, min_det_score=0.5).settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(
        {"HOME": str(tmp_path), "FACESETS_DATA": str(tmp_path / "data"), "FACESETS_MODELS": str(tmp_path)}
    )


def taken(settings: Settings, name: str, known: CacheSettings | None = None, fetch: bool = True) -> Path:
    return get_pack(name, settings, KeptNotices(), Work(), known=known, fetch=fetch).path


def test_a_pack_used_by_path_is_found_again(small_pack: Path, settings: Settings) -> None:
    models = models_of(small_pack)
    with pytest.raises(MissingModelPack):
        taken(settings, models.pack, models)
    assert taken(settings, str(small_pack)) == small_pack.absolute()
    assert taken(settings, models.pack, models) == small_pack.resolve()


def test_a_library_finds_its_pack_where_the_settings_name_it(
    small_pack: Path, open_pack: Path, settings: Settings
) -> None:
    models = models_of(small_pack)
    with pytest.raises(MissingModelPack):
        taken(replace(settings, pack=str(open_pack)), models.pack, models)
    assert taken(replace(settings, pack=str(small_pack)), models.pack, models) == small_pack.absolute()


def test_a_pack_setting_ignored_for_faces_of_another_pack_is_reported_once(
    small_pack: Path, open_pack: Path, settings: Settings
) -> None:
    models = models_of(small_pack)
    taken(settings, str(small_pack))

    def told(pack: Path | str, known: CacheSettings | None = models, name: str = models.pack) -> list[str]:
        notices = KeptNotices()
        for _ in range(2):
            get_pack(name, replace(settings, pack=str(pack)), notices, Work(), known=known)
        return [line for line in notices.remarks if "ignored" in line]

    (line,) = told(open_pack)
    assert line.startswith(
        f"Using the model pack {models.pack}, which the faces come from. The setting `pack`"
    )
    for pack in ("", models.pack, small_pack):
        assert told(pack) == []
    assert told(open_pack, None, str(small_pack)) == []


def test_a_dry_run_keeps_nothing_in_mind(pack_dir: Path, settings: Settings) -> None:
    taken(settings, str(pack_dir), fetch=False)
    assert not settings.state_dir.exists()


def test_a_pack_of_the_same_name_does_not_take_the_place_of_the_one_used(
    small_pack: Path, open_pack: Path, settings: Settings, tmp_path: Path
) -> None:
    models = models_of(small_pack)
    taken(settings, str(small_pack))
    shutil.copytree(open_pack, tmp_path / "models" / models.pack)
    assert taken(settings, models.pack, models) == small_pack.resolve()
    # Asked for by its name, it is taken, and then refused for its vectors.
    other = taken(settings, str(tmp_path / "models" / models.pack))
    cache = Cache(tmp_path / "cache.npz")
    cache.require(models)
    with cache.writing(models):
        cache.commit([], [])
    with pytest.raises(RecognizerMismatch, match="cannot be added to it"):
        cache.require(models_of(other))


def test_a_pack_that_would_be_refused_is_not_fetched(
    small_pack: Path, open_pack: Path, settings: Settings
) -> None:
    models = models_of(small_pack)
    with pytest.raises(
        RecognizerMismatch, match=r"The faces of a cache come from the pack .* not downloaded"
    ):
        refuse_to_fetch_another("open", models, settings, "a cache")
    for name in (models.pack, None, "unheard-of"):
        refuse_to_fetch_another(name, models, settings, "a cache")
    have(settings, "open", open_pack)
    # Its models say whether it is the same.
    refuse_to_fetch_another("open", models, settings, "a cache")


def test_flag_then_store_then_environment_then_file_then_default(pack_dir: Path, tmp_path: Path) -> None:
    models = models_of(pack_dir)
    (tmp_path / "facesets.toml").write_text('pack = "of the file"\n', "utf-8")
    home = {"HOME": str(tmp_path)}
    in_file, in_both = load(home, tmp_path), load({**home, "FACESETS_PACK": "of the environment"}, tmp_path)
    assert detection_options(models, "flag", None, None, in_both).pack == "flag"
    assert detection_options(models, None, None, None, in_both).pack == models.pack
    assert detection_options(None, None, None, None, in_both).pack == "of the environment"
    assert detection_options(None, None, None, None, in_file).pack == "of the file"
    assert detection_options(None, None, None, None, load(home, tmp_path / "none")).pack == "buffalo_l"


def have(settings: Settings, name: str, pack: Path) -> None:
    """Let a pack be on this machine under a name."""
    root = settings.model_roots[0] / "models"
    root.mkdir(exist_ok=True)
    (root / name).symlink_to(pack)


def test_where_none_is_named_the_default_pack_is_taken_or_the_open_one_if_that_alone_is_here(
    small_pack: Path, settings: Settings, tmp_path: Path
) -> None:
    def chosen(known: CacheSettings | None = None, pack: str = "") -> str:
        return detection_options(known, None, None, None, replace(settings, pack=pack)).pack

    assert chosen() == "buffalo_l"
    have(settings, "of-my-own", small_pack)
    have(settings, "antelopev2", small_pack)
    assert chosen() == "buffalo_l", "taken where they are named"
    (tmp_path / "models" / "open").mkdir()
    (tmp_path / "models" / "open" / "half.onnx").write_bytes(b"of a download")
    assert chosen() == "buffalo_l", "taken where it is whole"
    (tmp_path / "models" / "open" / "half.onnx").unlink()
    (tmp_path / "models" / "open").rmdir()
    have(settings, "open", small_pack)
    assert chosen() == "open"
    models = models_of(small_pack)
    assert chosen(models) == models.pack, "vectors of two packs do not mix"
    assert chosen(pack="of-my-own") == "of-my-own"
    (tmp_path / "models" / "buffalo_l").mkdir()
    (tmp_path / "models" / "buffalo_l" / "damaged.onnx").write_bytes(b"")
    assert chosen() == "buffalo_l", "its error is reported"


def test_an_automatic_pack_is_reported_once_a_run(open_pack: Path, settings: Settings) -> None:
    have(settings, "open", open_pack)
    notices = KeptNotices()
    for _ in range(2):
        get_pack("open", settings, notices, Work())
    assert ["Using the model pack open" in line for line in notices.remarks] == [True, False]
    assert ["0.992" in line for line in notices.remarks] == [False, True]
    for name, conf, is_named in (
        ("open", replace(settings, pack="open"), False),
        ("open", settings, True),
        (str(open_pack), settings, False),
    ):
        named = KeptNotices()
        get_pack(name, conf, named, Work(), is_named=is_named)
        assert ["0.992" in line for line in named.remarks] == [True]


@pytest.mark.parametrize("stage", ["attributes", "bodies"])
def test_a_pack_named_for_photos_of_a_service_is_not_reported_as_automatic(
    small_pack: Path, settings: Settings, stage: str
) -> None:
    have(settings, "open", small_pack)
    of_service = replace(models_of(small_pack), pack="ml-service/buffalo_l", recognizer_sha256="0" * 64)
    notices = KeptNotices()
    models = StageModels(of_service, "open", "cpu")
    MAKERS[stage](models, settings, notices, Work())
    assert not any("Using the model pack" in each for each in notices.remarks)


def test_the_open_packs_quality_is_not_reported_again_for_its_data(
    open_pack: Path, settings: Settings
) -> None:
    models, again = models_of(open_pack), KeptNotices()
    taken(settings, str(open_pack))
    for name in (models.pack, str(open_pack)):
        get_pack(name, settings, again, Work(), known=models)
    assert again.remarks == []


@pytest.mark.usefixtures("offline")
def test_new_stores_use_the_open_pack_and_existing_ones_only_their_own(
    open_pack: Path, small_pack: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = models_of(small_pack)
    have(settings, "open", open_pack)
    # As where the open pack has to be fetched first.
    monkeypatch.setattr("facesets.assembly.packs.usual_pack", lambda named, _roots: named or "buffalo_l")
    notices = KeptNotices()

    def begun(known: CacheSettings | None, pack: str | None = None, agrees: bool = True) -> str:
        found, _, _ = models_like(
            *(known, (pack, None, None), "cpu", settings, notices, Work()),
            fetch=True,
            agrees=lambda _reason: agrees,
        )
        return found.name

    assert begun(None) == "open"
    assert any(
        "Using the open pack because buffalo_l cannot be downloaded" in each for each in notices.notices
    )
    assert any("0.992" in each for each in notices.remarks)
    for known, pack, agrees in ((models, None, True), (None, "buffalo_l", True), (None, None, False)):
        with pytest.raises(MissingModelPack):
            begun(known, pack, agrees)


@pytest.mark.usefixtures("offline")
def test_where_a_published_pack_cannot_be_fetched_the_sentence_offers_both_ways(settings: Settings) -> None:
    with pytest.raises(MissingModelPack, match=r"unzip http.*by hand, or .*models pull open") as raised:
        get_pack("buffalo_l", settings, KeptNotices(), Work())
    assert "\n" not in str(raised.value)
    with pytest.raises(MissingModelPack):
        find_pack("buffalo_l", settings.model_roots)
