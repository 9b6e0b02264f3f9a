"""Outcomes of runs in words, for summaries of any version."""

import pytest

from facesets.words.runs import in_words, outcome, title


@pytest.mark.parametrize("command", ["index", "cluster", "assign", "train", "people centroids", "relocate"])
@pytest.mark.parametrize("summary", [{}, {"else": 1}, {"faces": None, "review": [1, 2], "known": None}])
def test_incomplete_summaries_have_words(command: str, summary: dict[str, object]) -> None:
    assert all(line.endswith(".") for line in outcome(command, summary))


def test_only_actual_changes_are_reported() -> None:
    summary = {"faces": 9, "kept": 0, "joined": 2, "new_faces": 4, "new_persons": 1, "alone": 2, "review": 1}
    assert outcome("cluster", summary) == [
        "9 faces: 2 joined known people, 4 form 1 new person, 3 unassigned."
    ]
    both = {
        "known": {"faces": 5, "assigned": 2, "people": 1},
        "unknown": {"faces": 3, "clusters": 1, "noise": 1},
    }
    assert outcome("cluster", both)[1] == "3 unmatched: 1 cluster, 1 unassigned; 0 suggestions to review."
    assert title("cluster", {"method": "dual"}) == "Cluster, known people first"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "less than 1 s"), (59.6, "1 min"), (95, "1 min 35 s"), (7260, "2 h 1 min")]
)
def test_durations_read_naturally(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_listing_for_workers_reports_queued_chunks() -> None:
    assert outcome("index", {"chunks": 2, "queued": 130, "unchanged": 4}) == [
        "130 photos queued for workers; 4 unchanged."
    ]
