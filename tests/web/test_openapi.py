"""The API does what its own OpenAPI document says, whatever it is asked."""

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

from tests.fixtures.soak import examples, soaking
from tests.fixtures.website import TOKEN, Website

pytestmark = pytest.mark.slow

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


@pytest.mark.soak
def test_nothing_that_is_asked_breaks_it(document: BaseSchema, website: Website) -> None:
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
