"""Opening a store: what is loaded for it, which of the two is opened, and several sessions at once."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from facesets import settings
from facesets.assembly.stores import named_database, open_cache, open_sessions, open_store
from facesets.errors import Unreachable, WrongUsage
from facesets.settings import load
from facesets.store.postgres import claims
from facesets.store.postgres.claims import Room
from facesets.store.postgres.connection import Connection
from tests.fixtures.notices import KeptNotices
from tests.fixtures.program import environment


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


def test_without_a_cache_or_a_library_it_is_said_how_to_make_one(tmp_path: Path) -> None:
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


def test_a_server_with_too_few_connections_is_said_and_not_asked_for_more(
    library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(_: Connection) -> Room:
        return Room(20, 18, 1)

    monkeypatch.setattr(claims, "room", little)
    monkeypatch.setattr("facesets.assembly.stores._WAIT_S", 0.05)
    notices = KeptNotices()
    with open_sessions(library_url, settings.load(), notices, most=500) as sessions, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(sessions.lent())
        with pytest.raises(Unreachable, match="busy"):
            stack.enter_context(sessions.lent())
    (said,) = notices.notices
    assert "has room for 2 more of 20 connections, and this would use 500" in said
    assert "Raise max_connections" in said


def test_a_server_with_enough_is_no_matter_of_a_notice(library_url: str) -> None:
    notices = KeptNotices()
    with open_sessions(library_url, settings.load(), notices, most=4) as sessions, sessions.lent():
        assert notices.notices == []
