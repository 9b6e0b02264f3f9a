"""The contract checker refuses requests and answers that Immich's description forbids."""

import json
from typing import Any

import httpx
import pytest

from tests.fixtures.immich_contract import contract
from tests.fixtures.immich_server import KEY, OWNER, ImmichServer, photo, photo_id, serving

ONE = photo_id(1)


def faults(method: str, target: str, body: Any = None) -> list[str]:
    found = contract().operation(method, target)
    assert found is not None
    raw = b"" if body is None else json.dumps(body).encode()
    return contract().faults_of_request(*found, target, raw, "application/json" if raw else "")


REFUSED: list[tuple[str, str, Any]] = [
    ("POST", "search/metadata", {"page": "2"}),
    ("POST", "search/metadata", {"page": 0}),
    ("POST", "search/metadata", {"size": 5000}),
    ("POST", "search/metadata", {"size": 1.5}),
    ("POST", "search/metadata", {"type": "PHOTO"}),
    ("POST", "search/metadata", {"visibility": "everything"}),
    ("POST", "search/metadata", {"order": "oldest"}),
    ("POST", "search/metadata", {"userId": OWNER}),
    ("POST", "search/metadata", {"updatedAfter": "yesterday"}),
    ("POST", "search/metadata", []),
    ("POST", "search/metadata", None),
    ("GET", "faces", None),
    ("GET", "faces?id=7", None),
    ("GET", f"faces?id={ONE}&page=2", None),
    ("GET", "faces?id=123e4567-e89b-12d3-a456-426614174000", None),
    ("GET", "assets/7/original", None),
    ("GET", f"assets/{ONE}/original?edited=maybe", None),
    ("POST", "people", {"name": 7}),
    ("POST", "people", {"name": "Ana", "owner": OWNER}),
    ("PUT", f"people/{ONE}", {"birthDate": "once"}),
    ("POST", f"people/{ONE}/merge", {"ids": ["7"]}),
    ("POST", f"people/{ONE}/merge", {"id": photo_id(2)}),
    ("PUT", f"faces/{ONE}", {"id": "7"}),
    ("PUT", f"faces/{ONE}", {}),
    ("DELETE", f"faces/{ONE}", {}),
    ("DELETE", f"faces/{ONE}", None),
    ("POST", "faces", {"assetId": ONE, "personId": photo_id(2), "x": 1, "y": 1}),
    ("GET", "people?size=5000", None),
    ("GET", "search/person", None),
]


@pytest.mark.parametrize(("method", "target", "body"), REFUSED)
def test_a_request_that_is_not_described_is_refused(method: str, target: str, body: Any) -> None:
    assert faults(method, f"/api/{target}", body)


def test_described_searches_are_accepted() -> None:
    query = {"type": "IMAGE", "visibility": "timeline", "page": 2, "size": 1000, "order": "asc"}
    assert faults("POST", "/api/search/metadata", {**query, "withExif": True}) == []


@pytest.mark.parametrize(
    ("method", "target"), [("GET", "/api/nothing"), ("DELETE", "/api/server/version"), ("GET", "/faces")]
)
def test_undescribed_calls_are_rejected(method: str, target: str) -> None:
    assert contract().operation(method, target) is None


def test_an_answer_that_lacks_what_is_required_or_has_more_is_refused() -> None:
    server = ImmichServer(is_checked=False)
    described = server.described(photo(1))
    server.server_close()
    found = contract().operation("GET", f"/api/assets/{photo_id(1)}")
    assert found is not None

    def judged(asset: dict[str, Any]) -> list[str]:
        return contract().faults_of_answer(found[0], 200, "application/json", json.dumps(asset).encode())

    assert judged(described) == []
    assert judged({key: value for key, value in described.items() if key != "checksum"})
    assert judged({**described, "width": "4000"})
    assert judged({**described, "score": 1})


def test_the_fake_server_refuses_and_records_undescribed_requests() -> None:
    with pytest.raises(AssertionError), serving([photo(1)]) as server:
        answer = httpx.post(
            f"{server.url}/api/search/metadata", headers={"x-api-key": KEY}, json={"page": "2"}
        )
        assert answer.status_code == 400
        assert len(server.violations) == 1


def test_the_fake_server_checks_key_and_permissions() -> None:
    with serving([photo(1)], permissions=["face.read"]) as server:
        address = f"{server.url}/api/faces?id={photo_id(1)}"
        assert httpx.get(address).status_code == 401
        assert httpx.get(address, headers={"x-api-key": "another"}).status_code == 401
        assert httpx.get(address, headers={"x-api-key": KEY}).status_code == 200
        original = f"{server.url}/api/assets/{photo_id(1)}/original"
        assert httpx.get(original, headers={"x-api-key": KEY}).status_code == 403


def test_a_merge_by_list_is_known_from_the_version_that_brought_it() -> None:
    assert contract().operation("POST", "/api/people/merge", (3, 2, 0)) is None
    assert contract().operation("POST", "/api/people/merge", (3, 2, 1)) is not None


def test_removing_a_person_takes_a_body_from_the_version_that_asks_for_one() -> None:
    target = f"/api/people/{photo_id(1)}"
    for version, body, content_type, is_allowed in (
        ((3, 2, 9), b"", "", True),
        ((3, 2, 9), b"{}", "application/json", False),
        ((3, 3, 0), b"{}", "application/json", True),
        ((3, 3, 0), b"", "", False),
    ):
        found = contract().operation("DELETE", target, version)
        assert found is not None
        assert (contract().faults_of_request(*found, target, body, content_type) == []) == is_allowed
