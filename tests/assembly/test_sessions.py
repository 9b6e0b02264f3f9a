"""Several sessions at once: as many as are asked for, where the server has them."""

from contextlib import ExitStack

import pytest

from facesets import settings
from facesets.assembly.sessions import open_sessions
from facesets.errors import Unreachable
from facesets.store.postgres import claims
from facesets.store.postgres.claims import Room
from facesets.store.postgres.connection import Connection
from tests.fixtures.notices import KeptNotices


def test_a_server_with_too_few_connections_is_said_and_not_asked_for_more(
    library_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(_: Connection) -> Room:
        return Room(20, 18, 1)

    monkeypatch.setattr(claims, "room", little)
    monkeypatch.setattr("facesets.assembly.sessions._WAIT_S", 0.05)
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
