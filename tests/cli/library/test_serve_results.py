"""`facesets serve --results`."""

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from facesets.operations.grouping.cluster import cluster
from facesets.operations.options.start import ClusterOptions
from facesets.work import Work
from tests.fixtures.photo_library import Library
from tests.fixtures.program import command, environment, run


def test_folders_that_cannot_be_served_are_reported(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "manifest.json").write_text("{}")
    for words, expected in (
        ((tmp_path / "none",), "Manifest not found"),
        ((tmp_path,), f"Give --results {tmp_path / 'people'}."),
        ((tmp_path, "--database", "postgresql:///nowhere"), "Give only one"),
    ):
        ended = run("serve", "--port", 0, "--results", *words)
        assert (ended.status, expected in ended.err) == (2, True), ended.err


@pytest.mark.slow
def test_a_folder_is_served_without_a_library(pristine: Library, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    cluster(pristine.store, raw, ClusterOptions(sheet=False), work=Work())
    here = {"XDG_CACHE_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "FACESETS_DATA": str(tmp_path)}
    with subprocess.Popen(
        command("serve", "--results", raw, "--port", 0),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(here),
    ) as program:
        assert program.stdout is not None
        address = program.stdout.readline().strip()
        try:
            assert httpx.get(f"{address}/health").json()["status"] == "ok"
            assert httpx.get(f"{address}/people").status_code == 401
            token = (tmp_path / "serve-token").read_text().strip()
            page = httpx.get(f"{address}/people", headers={"authorization": f"Bearer {token}"})
            assert "person_001" in page.text
        finally:
            program.send_signal(signal.SIGINT)
        program.wait(20)
    assert not (tmp_path / "postgres").exists()
