"""`facesets maintain` as a user types it."""

import json

from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from tests.fixtures.library_people import add_person, cluster
from tests.fixtures.program import run


def test_upkeep_tells_each_task_in_a_line_and_in_json(database: Database, library_url: str) -> None:
    filled = Library(database)
    add_person(filled, "anna", 4)
    cluster(filled)
    where = ("--database", library_url)
    daily = run("maintain", "daily", *where)
    assert daily.status == 0, daily.err
    assert [line.split(":")[0] for line in daily.out.splitlines()] == [
        "centroids",
        "empty",
        "statistics",
        "must-links",
        "violations",
    ]
    assert "All that was said is so." in daily.out
    assert run("maintain", "weekly", "-q", *where).out == ""
    assert run("maintain", "health", "-q", *where).out == "health: All is well.\n"
    health = json.loads(run("maintain", "health", "--json", *where).out)["tasks"][0]
    assert health["figures"]["total_faces"] == 4
    assert health["did"] == "All is well."
    assert "Nothing was stored." in run("maintain", "associate", "empty", "--dry-run", *where).out


def test_a_dry_run_speaks_of_all_as_of_what_is_to_come(database: Database, library_url: str) -> None:
    add_person(Library(database), "anna", 4)
    cluster(Library(database))
    tasks = ("weekly", "--dry-run", "--database", library_url)
    changing = [line for line in run("maintain", *tasks).out.splitlines() if ": " in line]
    assert len(changing) == 9
    assert [line for line in changing if "would" not in line and not line.startswith("violations:")] == []
    done = run("maintain", "weekly", "--database", library_url).out
    assert "would" not in done


def test_a_task_or_a_time_that_does_not_exist_is_refused(library_url: str) -> None:
    refused = run("maintain", "tidy", "--database", library_url)
    assert refused.status == 2
    assert "weekly" in refused.err
    refused = run("maintain", "unassigned", "--older-than", "soon", "--database", library_url)
    assert refused.status == 2
    assert "--older-than soon is no time. Give days such as 90d" in refused.err
