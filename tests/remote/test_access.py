"""Nearby servers are reached directly, regardless of a proxy in the environment."""

import socket
from pathlib import Path

import httpx
import pytest

from facesets.errors import WrongUsage
from facesets.remote.access import client_of, is_nearby
from facesets.remote.ml_service import MlService
from tests.fixtures.immich_server import photo, serving
from tests.fixtures.staging import stage

NEARBY = [
    "localhost",
    "127.0.0.1",
    "::1",
    "10.1.2.3",
    "172.16.0.9",
    "192.168.1.5",
    "169.254.3.4",
    "fd12::1",
    "fe80::1",
    "100.100.3.4",
    "photos",
    "photos.lan",
    "Photos.Local",
    "nas.home.arpa",
    "nas.tail1234.ts.net.",
]


FAR = ["photos.example.org", "8.8.8.8", "2606:4700::1111", "lan.example.org"]


@pytest.mark.parametrize("host", [*NEARBY, *FAR])
def test_this_machine_and_private_networks_are_nearby_and_no_others(host: str) -> None:
    assert is_nearby(host) == (host in NEARBY)


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_a_key_for_a_server_nearby_goes_through_no_proxy(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as proxy, serving([photo(1)]) as server:
        proxy.setblocking(False)
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert stage(server, tmp_path).staged == 1
        assert not MlService("http://127.0.0.1:9", pause=lambda _: None).answers()
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_an_unusable_proxy_is_reported_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy")
    client_of(httpx.URL("http://127.0.0.1:1"), httpx.Timeout(1), {}).close()
    with pytest.raises(WrongUsage, match="proxy"):
        client_of(httpx.URL("http://photos.example.org"), httpx.Timeout(1), {})
