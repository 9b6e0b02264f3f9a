"""Every curl line of the documents works, in their order, on a library with people."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.program import REPOSITORY
from tests.fixtures.website import TOKEN, Website, served

DOCUMENTS = sorted((REPOSITORY / "docs").glob("serve*.md"))
_ADDRESS = "http://localhost:8765"


def _lines(document: Path) -> list[str]:
    text = document.read_text("utf-8").replace("\\\n", " ")
    return re.findall(r"^ {4,}(curl .+)$", text, re.MULTILINE)


def _numbers(website: Website) -> dict[str, str]:
    """What stands in the lines for ids: a person, a face, a cluster, a photo."""
    query = """SELECT f.person_id::text, f.id::text, coalesce(f.cluster, ''), i.sha256
        FROM face_detections f JOIN images i ON i.id = f.image_id WHERE f.person_id IS NOT NULL
        ORDER BY f.id LIMIT 1"""
    with website.site.library() as session:
        row = session.run(lambda connection: connection.one(query))
    return dict(zip(("PERSON", "FACE", "CLUSTER", "PHOTO"), row, strict=True))


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl (Debian: apt-get install curl)")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_call_in_a_document_works(document: Path, album_url: str, tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
    environment = {
        "PATH": "/usr/bin:/bin",
        "CURL_HOME": str(tmp_path),
        "AUTH": f"Authorization: Bearer {TOKEN}",
    }
    with served(album_url, tmp_path / "crops", must_log_in=True) as website:
        for line in _lines(document):
            done = subprocess.run(
                ["bash", "-c", line.replace(_ADDRESS, website.address)],
                env=environment | _numbers(website),
                cwd=tmp_path,
                capture_output=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_there_are_calls_to_try() -> None:
    assert len([line for document in DOCUMENTS for line in _lines(document)]) >= 5
