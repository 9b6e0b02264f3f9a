"""From what a user names to what is opened: an engine, a language model, a store."""

import importlib.util
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from facesets import settings
from facesets.assembly.commands import open_engine
from facesets.assembly.language_models import chosen_provider, language_model
from facesets.assembly.stores import named_database, open_cache, open_sessions, open_store
from facesets.clustering.engine import IN_PROCESS
from facesets.errors import MissingExtra, Unreachable, WrongUsage
from facesets.operations.options.grouping import EngineOptions, workers_named
from facesets.settings import LlmSettings, Settings, load, load_llm
from facesets.store.postgres import claims
from facesets.store.postgres.claims import Room
from facesets.store.postgres.connection import Connection
from facesets.work import Stop
from tests.fixtures.notices import KeptNotices
from tests.fixtures.program import environment

SETTINGS = Settings(model_roots=())


def test_without_an_engine_faces_are_compared_in_this_process() -> None:
    with open_engine(EngineOptions(shards=Path("anywhere")), SETTINGS) as engine:
        assert engine is IN_PROCESS


def test_a_method_that_works_on_no_graph_of_pairs_takes_no_engine() -> None:
    options = EngineOptions(engine=workers_named("--engine", "local"))
    assert options.for_method("hdbscan").engine is None
    assert options.for_method("auto") == options


@pytest.mark.parametrize("missing", ["distributed", "dask"])
@pytest.mark.parametrize("engine", ["dask://scheduler:8786", "local"])
def test_where_dask_or_half_of_it_is_missing_its_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, missing: str, engine: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    options = EngineOptions(engine=workers_named("--engine", engine))
    with pytest.raises(MissingExtra, match="requires the extra scale"), open_engine(options, SETTINGS):
        pass


@pytest.mark.parametrize(
    ("text", "scheduler"),
    [("local", None), ("dask://a.b:1/", "a.b:1"), ("dask://[fd00::1]:8786", "[fd00::1]:8786")],
)
def test_an_engine_is_this_machine_or_an_address(text: str, scheduler: str | None) -> None:
    assert workers_named("--engine", text).scheduler == scheduler


HERE = "http://localhost:1/v1"
BEDROCK = {
    "LLM_PROVIDER": "bedrock",
    "BEDROCK_MODEL_ID": "global.anthropic.claude-haiku-4-5-20251001-v1:0",
    "AWS_REGION": "us-east-1",
}


@pytest.mark.parametrize(
    ("environment", "uri", "provider"),
    [
        ({}, None, ""),
        ({"ANTHROPIC_API_KEY": "k"}, None, "anthropic"),
        ({"BEDROCK_MODEL_ID": "m"}, None, "bedrock"),
        ({"ANTHROPIC_API_KEY": "k"}, HERE, "openai"),
        ({"ANTHROPIC_API_KEY": "k", "BEDROCK_MODEL_ID": "m", "LLM_PROVIDER": "Bedrock"}, None, "bedrock"),
    ],
)
def test_the_language_model_is_the_named_one(
    environment: dict[str, str], uri: str | None, provider: str
) -> None:
    assert chosen_provider(load_llm(environment), uri) == provider


def test_two_that_are_configured_need_a_word() -> None:
    both = load_llm({"ANTHROPIC_API_KEY": "k", "BEDROCK_MODEL_ID": "m"})
    with pytest.raises(WrongUsage, match="Set LLM_PROVIDER to choose one"):
        chosen_provider(both, None)


def test_keys_show_nowhere() -> None:
    llm = load_llm({"ANTHROPIC_API_KEY": "sk-secret", "LLM_API_KEY": "other-secret"})
    assert "secret" not in repr(llm)


def test_a_missing_library_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with (
        pytest.raises(MissingExtra, match="requires the extra describe"),
        language_model(load({}), LlmSettings(), HERE, Stop()),
    ):
        pass


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"AWS_REGION": ""}, "Missing region"),
        ({"BEDROCK_BATCH_S3_BUCKET": "b"}, "BEDROCK_BATCH_ROLE_ARN"),
        ({"BEDROCK_MODEL_ID": "amazon.nova-lite-v1:0"}, "not a model of Anthropic"),
        ({"BEDROCK_MODEL_ID": ""}, "BEDROCK_MODEL_ID"),
        ({"AWS_PROFILE": "nobody-has-this"}, "nobody-has-this"),
    ],
)
def test_missing_settings_of_bedrock_are_reported(environment: dict[str, str], expected: str) -> None:
    llm = load_llm(BEDROCK | environment)
    with pytest.raises(WrongUsage, match=expected), language_model(load({}), llm, None, Stop()):
        pass


def test_bedrock_has_batches_where_there_is_a_bucket() -> None:
    bucket = {"BEDROCK_BATCH_S3_BUCKET": "b", "BEDROCK_BATCH_ROLE_ARN": "r"}
    for more, has in ((bucket, True), ({}, False)):
        with language_model(load({}), load_llm(BEDROCK | more), None, Stop()) as provider:
            assert provider is not None
            assert (provider.batches is not None) is has
            assert provider.place == "Amazon Bedrock in us-east-1"


def test_whoever_opens_stores_loads_neither_a_terminal_nor_models() -> None:
    heavy = ("typer", "rich", "psycopg", "numpy", "onnxruntime", "onnx", "cv2", "PIL", "httpx")
    script = (
        "import sys, facesets.assembly.stores, facesets.assembly.describing, facesets.assembly.crop_checker\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
        # Nor does a library, or what `serve` may be asked to start, load what a few of their steps need.
        "import facesets.store.postgres.library, facesets.operations.people.training.training\n"
        "print([name for name in ('scipy', 'sklearn', 'torch', 'insightface') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout.split("\n") == ["[]", "[]", ""]


def test_without_cache_and_library_the_first_command_is_shown(tmp_path: Path) -> None:
    settings = load({"HOME": str(tmp_path), "FACESETS_DATA": str(tmp_path / "data")})
    with open_store(tmp_path / "faces.npz", None, settings, KeptNotices()) as store:
        assert store.label == str(tmp_path / "faces.npz")
    with pytest.raises(WrongUsage, match="no library yet"), open_store(None, None, settings, KeptNotices()):
        pass
    assert named_database("postgresql://other/db", settings) == "postgresql://other/db"
    assert not (tmp_path / "data").exists()


def test_a_cache_is_called_without_detours_unless_one_leads_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here/below", "there/below"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert open_cache(Path("../there/./faces.npz")).label == str(tmp_path / "there/faces.npz")
    assert open_cache(Path("gone/../faces.npz")).label == str(tmp_path / "here/faces.npz")
    (tmp_path / "here/link").symlink_to(tmp_path / "there/below")
    assert open_cache(Path("link/faces.npz")).path == tmp_path / "here/link/faces.npz"
    # By the link one is in `there`, whatever the name reads like.
    assert open_cache(Path("link/../faces.npz")).path.parent.resolve() == tmp_path / "there"


def test_a_server_with_too_few_connections_is_reported_and_not_overloaded(
    library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(_: Connection) -> Room:
        return Room(20, 18, 1)

    monkeypatch.setattr(claims, "room", little)
    monkeypatch.setattr("facesets.assembly.stores._WAIT_S", 0.05)
    notices = KeptNotices()
    with (
        open_sessions(library_url, settings.load(), notices, max_sessions=500) as sessions,
        ExitStack() as stack,
    ):
        for _ in range(2):
            stack.enter_context(sessions.lent())
        with pytest.raises(Unreachable, match="busy"):
            stack.enter_context(sessions.lent())
    (output,) = notices.notices
    assert "has only 2 of 20 connections free, but this command would use 500" in output
    assert "Raise max_connections" in output


def test_a_server_with_enough_is_no_matter_of_a_notice(library_url: str) -> None:
    notices = KeptNotices()
    with open_sessions(library_url, settings.load(), notices, max_sessions=4) as sessions, sessions.lent():
        assert notices.notices == []
