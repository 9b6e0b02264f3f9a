"""The API does what its documents say: what OpenAPI allows, whatever that is, and every curl line in docs."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fixtures.program import REPOSITORY
from tests.fixtures.soak import examples, soaking
from tests.fixtures.website import TOKEN, Website, served

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_EACH = soaking(200, else_=5)


@pytest.fixture
def document(website: Website) -> BaseSchema:
    """The document as the program hands it out."""
    return schemathesis.openapi.from_dict(website.client.get("/api/v1/openapi.json").json())


@pytest.mark.slow
@pytest.mark.soak
def test_no_generated_request_causes_a_server_error(document: BaseSchema, website: Website) -> None:
    asked, failures = 0, []
    for found in document.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]
        try:
            asked += _ask(operation, website)
        except FailureGroup as failure:
            failures.append(f"{operation.label}: {failure.exceptions[0]}")
    assert not failures
    assert asked > 0


def _ask(operation: Any, website: Website) -> int:
    """Ask one call for whatever its schema allows; returns how often."""
    asked = 0

    @settings(examples(_EACH), suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        response = case.call(base_url=website.address, headers={"authorization": f"Bearer {TOKEN}"})
        case.validate_response(response, checks=_CHECKS)

    ask()
    return asked


DOCUMENTS = [REPOSITORY / "docs" / "api.md", *sorted((REPOSITORY / "docs").glob("serve*.md"))]
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
