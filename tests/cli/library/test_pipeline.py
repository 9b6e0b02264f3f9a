"""`facesets maintain` as a user types it."""

import json
from collections.abc import Callable

import pytest

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.library_people import add_person, cluster
from tests.fixtures.program import Result

Call = Callable[..., Result]


@pytest.fixture
def maintain(facesets: Call, database: Database) -> Call:
    """Runs `maintain` on a library of one person."""
    add_person(Library(database), "anna", 4)
    cluster(Library(database))
    return lambda *words, **how: facesets("maintain", *words, **how)


def test_maintain_prints_a_line_per_task_and_json(maintain: Call) -> None:
    daily = maintain("daily").out
    tasks = ["centroids", "empty", "statistics", "must-links", "violations"]
    assert [line.split(":")[0] for line in daily.splitlines()] == tasks
    assert "No conflicts with your corrections." in daily
    # A dry run reports everything in the future tense.
    rehearsed = [line for line in maintain("weekly", "--dry-run").out.splitlines() if ": " in line]
    assert len(rehearsed) == 9
    assert [
        line for line in rehearsed if "would" not in line.lower() and not line.startswith("violations:")
    ] == []
    assert "would" not in maintain("weekly").out.lower()
    assert maintain("weekly", "-q").out == ""
    assert maintain("health", "-q").out == "health: No problems found.\n"
    health = json.loads(maintain("health", "--json").out)["tasks"][0]
    assert health["figures"]["total_faces"] == 4
    assert health["did"] == "No problems found."
    assert "Nothing was stored." in maintain("associate", "empty", "--dry-run").out


def test_an_unknown_task_or_time_is_refused(maintain: Call) -> None:
    assert "weekly" in maintain("tidy", status=2).err
    wrong = maintain("unassigned", "--older-than", "soon", status=2).err
    assert "--older-than soon is not a time span. Give days such as 90d" in wrong
