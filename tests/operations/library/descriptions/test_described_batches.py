"""`describe` by batches: half the price, found again after whatever happened, nothing paid twice."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fixtures.anthropic_server import AnthropicServer, serving_anthropic
from tests.fixtures.described import (
    anthropic,
    forget_all,
    made_photos,
    run_check,
    run_describe,
    statuses,
    take_in,
)
from tests.fixtures.described_kills import killed_at, moments_of
from tests.fixtures.kills import moments
from tests.fixtures.library_people import rows
from tests.fixtures.llm_server import Failure

from facesets.descriptions.asking import NotSent
from facesets.operations.library.descriptions.describing import BatchSizes
from facesets.operations.library.stats import stages
from facesets.remote.llm.anthropic import Anthropic
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.library import Library

PRICES = {"claude-haiku-5-5": {"input": 1000.0, "output": 5000.0}}


def twice_paid(llm: AnthropicServer) -> list[bytes]:
    """Pictures that were worked on more than once."""
    return [jpeg for jpeg, times in Counter(paid.jpeg for paid in llm.paid).items() if times > 1]


def test_a_batch_is_half_the_price_and_collected_later(library: Library, llm: AnthropicServer) -> None:
    sent = run_describe(library, anthropic(llm.url))
    assert (sent.sent, sent.under_way, sent.described, sent.cost_usd) == (6, 6, 0, 0)
    assert statuses(library.database) == {"processing": 6}
    assert run_check(library, anthropic(llm.url)).under_way == 6
    assert run_describe(library, anthropic(llm.url), retry_failed=True).sent == 0
    llm.end()
    # The price is that of the day when it was sent.
    came = run_check(library, anthropic(llm.url, prices=PRICES))
    assert (came.described, came.under_way, came.failed) == (6, 0, 0)
    usage = [paid.usage for paid in llm.paid]
    whole = sum(each["input"] * 0.1 + each["output"] * 0.5 for each in usage) / 10**6
    assert came.cost_usd == pytest.approx(whole / 2)
    assert rows(library.database, "SELECT count(*), count(duration_s) FROM descriptions") == [(6, 0)]
    assert run_check(library, anthropic(llm.url)).described == 0
    assert (len(llm.batches), len(llm.paid)) == (1, 6)


def test_a_connection_that_breaks_while_answers_are_collected_costs_none_of_them(
    library: Library, llm: AnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise httpx.ReadError("broken")

    run_describe(library, anthropic(llm.url))
    llm.end()
    with monkeypatch.context() as patched:
        patched.setattr(httpx.Client, "stream", broken)
        with pytest.raises(NotSent, match="Results so far are saved"):
            run_check(library, anthropic(llm.url))
    llm.failures = [Failure(0, breaks=True)]
    assert run_check(library, anthropic(llm.url)).described == 6, "which is asked again by itself"


def test_batches_have_their_size_and_few_photos_wait_for_more(
    library: Library, llm: AnthropicServer, tmp_path: Path
) -> None:
    first = run_describe(library, anthropic(llm.url), sizes=BatchSizes(4, 3))
    assert (first.sent, first.held_back, first.to_do) == (4, 2, 2)
    assert [len(requests) for requests in llm.requests_of.values()] == [4]
    take_in(library, made_photos(tmp_path / "more", 9)[6:])
    second = run_describe(library, anthropic(llm.url), sizes=BatchSizes(4, 3))
    assert (second.sent, second.held_back) == (4, 1)
    assert run_describe(library, anthropic(llm.url), sizes=BatchSizes(4, 3)).announced is None


def test_only_unprocessed_photos_are_sent_again(library: Library, llm: AnthropicServer) -> None:
    run_describe(library, anthropic(llm.url))
    llm.end(expired=[0], canceled=[1], errored=[2], invalid=[3], refused=[4])
    came = run_check(library, anthropic(llm.url))
    assert (came.described, came.again, came.failed) == (1, 3, 2)
    row = next(each for each in stages(library).stages if each.stage == "describe")
    assert row.reasons == {"so it is": 1, "the model refused to describe it": 1}
    assert (row.pending, row.processing) == (3, 0)
    assert came.cost_usd > 0
    assert run_describe(library, anthropic(llm.url)).sent == 3
    llm.end()
    assert run_check(library, anthropic(llm.url)).described == 3
    assert twice_paid(llm) == []


def test_a_photo_that_keeps_expiring_finally_fails(library: Library, llm: AnthropicServer) -> None:
    for _ in range(3):
        assert run_describe(library, anthropic(llm.url), max_images=1).sent == 1
        llm.end(expired=[0])
    assert run_check(library, anthropic(llm.url)).again == 1
    assert statuses(library.database) == {"failed": 1}
    assert llm.paid == []


Results = list[dict[str, Any]]


def come_twice_and_from_elsewhere(found: Results) -> None:
    stranger = {**found[0], "custom_id": "somebody-elses"}
    found.extend([found[0], stranger, found[2], {"custom_id": None}])


def lack_one(found: Results) -> None:
    del found[1]


def are_of_later_versions(found: Results) -> None:
    found[1]["result"], found[2]["result"] = {"type": "of a later version"}, None
    found[3]["result"] = {"type": ["of one still later"]}


@pytest.mark.parametrize(
    ("results", "described"),
    [(come_twice_and_from_elsewhere, 6), (lack_one, 5), (are_of_later_versions, 3)],
)
def test_each_photo_counts_once_and_is_sent_again_without_an_answer_only_on_request(
    library: Library, llm: AnthropicServer, results: Callable[[Results], None], described: int
) -> None:
    run_describe(library, anthropic(llm.url))
    llm.end()
    results(llm.results_of["msgbatch_0"])
    came = run_check(library, anthropic(llm.url))
    assert (came.described, came.failed, came.again) == (described, 6 - described, 0)
    (paid,) = rows(library.database, "SELECT sum(cost_usd)::float8 FROM descriptions")[0]
    assert came.cost_usd == pytest.approx(paid)
    assert run_describe(library, anthropic(llm.url)).sent == 0
    assert run_describe(library, anthropic(llm.url), retry_failed=True).sent == 6 - described


def test_an_answer_outlives_its_photo_and_is_there_again_with_it(
    library: Library, llm: AnthropicServer, tmp_path: Path
) -> None:
    photos = made_photos(tmp_path / "photos", 6)
    run_describe(library, anthropic(llm.url))
    delete = "DELETE FROM images WHERE id = ANY(%s)"
    library.database.run(lambda connection: connection.execute(delete, ([1, 2, 3],)))
    llm.end(refused=[0, 4])
    came = run_check(library, anthropic(llm.url))
    assert (came.described, came.failed) == (4, 2)
    library.database.run(lambda connection: connection.execute(delete, ([4, 5, 6],)))
    assert rows(library.database, "SELECT count(*), count(image_id) FROM descriptions") == [(4, 0)]
    take_in(library, photos)
    assert statuses(library.database) == {"completed": 4, "failed": 2}
    joined = "SELECT count(*) FROM descriptions d JOIN images i ON i.id = d.image_id AND i.sha256 = d.sha256"
    assert rows(library.database, joined) == [(4,)]
    assert run_describe(library, anthropic(llm.url)).sent == 0
    assert run_describe(library, anthropic(llm.url), retry_failed=True).sent == 2


def test_only_photos_without_an_open_request_are_sent(library: Library, llm: AnthropicServer) -> None:
    run_describe(library, anthropic(llm.url))
    library.database.run(lambda connection: connection.execute("DELETE FROM image_stages"))
    again = run_describe(library, anthropic(llm.url))
    assert (again.sent, len(llm.batches), statuses(library.database)) == (0, 1, {"processing": 6})
    library.database.run(lambda connection: connection.execute("DELETE FROM description_jobs"))
    assert run_check(library, anthropic(llm.url)).to_do == 6


def test_lost_results_are_paid_again_only_on_request(library: Library, llm: AnthropicServer) -> None:
    run_describe(library, anthropic(llm.url))
    llm.gone.add("msgbatch_0")
    assert run_check(library, anthropic(llm.url)).under_way == 6
    assert "msgbatch_0" in run_describe(library, anthropic(llm.url)).notes[0]
    llm.problems.clear()
    llm.gone.clear()
    llm.end()
    llm.batches["msgbatch_0"]["archived_at"] = "2026-01-01T00:00:00Z"
    assert run_check(library, anthropic(llm.url)).failed == 6
    assert run_describe(library, anthropic(llm.url)).sent == 0
    assert run_describe(library, anthropic(llm.url), retry_failed=True).sent == 6


def test_a_batch_with_a_lost_answer_is_found_by_the_ids_of_its_requests(
    library: Library, llm: AnthropicServer
) -> None:
    llm.failures = [Failure(0, breaks=True)]
    sent = run_describe(library, anthropic(llm.url))
    assert (sent.sent, "unknown whether" in sent.notes[0]) == (6, True)
    assert run_describe(library, anthropic(llm.url)).sent == 0
    # A batch of another program, with as many requests.
    llm.batches["msgbatch_9"] = {**llm.batches["msgbatch_0"], "id": "msgbatch_9"}
    llm.requests_of["msgbatch_9"] = [
        {**request, "custom_id": f"theirs-{place}"}
        for place, request in enumerate(llm.requests_of["msgbatch_0"])
    ]
    llm.batches = dict(reversed(llm.batches.items()))
    llm.end(expired=list(range(6)))
    assert run_check(library, anthropic(llm.url)).again == 6
    assert run_describe(library, anthropic(llm.url)).sent == 6
    llm.end()
    assert run_check(library, anthropic(llm.url)).described == 6


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_batch_that_never_left_is_sent_in_the_end(
    library: Library, llm: AnthropicServer, status: int
) -> None:
    llm.failures = [Failure(status)]
    run_describe(library, anthropic(llm.url))
    assert run_check(library, anthropic(llm.url), unsure_for_s=600).under_way == 6
    assert run_check(library, anthropic(llm.url)).again == 6
    assert run_describe(library, anthropic(llm.url)).sent == 6
    assert len(llm.batches) == 1


def test_batches_of_another_provider_are_left_alone(library: Library, llm: AnthropicServer) -> None:
    run_describe(library, anthropic(llm.url))
    assert run_check(library, None).under_way == 6
    with serving_anthropic() as other:
        found = run_describe(library, anthropic(other.url))
        assert (found.sent, found.under_way, other.bodies) == (0, 6, [])
    assert llm.url in found.notes[0]


def test_a_limit_counts_open_requests(library: Library, llm: AnthropicServer) -> None:
    run = anthropic(llm.url, prices=PRICES)
    sent = run_describe(library, run, max_cost=40.0, sizes=BatchSizes(2, 1))
    assert sent.limit_reached
    assert 20 < sent.under_way_usd <= 40
    assert 0 < sent.sent < 6
    llm.output_tokens = 4096
    llm.end()
    assert run_check(library, anthropic(llm.url, prices=PRICES)).cost_usd <= 40


def test_a_limit_below_a_batch_is_named_and_other_ends_are_not(
    library: Library, llm: AnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("facesets.operations.library.descriptions.sending._MAX_BYTES", 1)
        found = run_describe(library, anthropic(llm.url), sizes=BatchSizes(6, 5))
        assert (found.sent, found.limit_reached, found.notes, llm.bodies) == (0, False, [], [])
    run = anthropic(llm.url, prices=PRICES)
    found = run_describe(library, run, max_cost=40.0, sizes=BatchSizes(6, 5))
    assert (found.sent, found.held_back, found.limit_reached, llm.bodies) == (0, 0, True, [])
    assert "too few for a batch" in found.notes[0]
    assert statuses(library.database) == {}
    others = run_describe(library, anthropic(llm.url, prices=PRICES), max_cost=60.0, sizes=BatchSizes(4, 2))
    assert (others.sent, others.held_back, others.limit_reached, others.notes) == (4, 0, True, [])


SIZES = BatchSizes(2, 1)
"""Of three photos: a batch of two and one of one."""


@pytest.fixture
def three(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """Three photos, of which two are asked about at once."""
    monkeypatch.setattr(Anthropic, "at_once", 2)
    found = Library(database)
    take_in(found, made_photos(tmp_path / "photos", 3))
    return found


def work_at(llm: AnthropicServer, library_url: str, *, no_batch: bool) -> Callable[[], None]:
    """Describe photos and collect their answers, in a session of its own."""

    def work() -> None:
        with opened(Database(library_url)) as session:
            own = Library(session)
            run_describe(own, anthropic(llm.url), sizes=SIZES, no_batch=no_batch)
            # The copy of the server in a process of its own has no owner: the real one ends its batches.
            with closing(anthropic(llm.url)) as provider:
                provider._server.get("v1/messages/batches", {"limit": "999"})
            run_check(own, anthropic(llm.url))

    llm.end_when_listed_by = 999
    return work


def require_nothing_lost_or_paid_twice(library: Library, llm: AnthropicServer, *, no_batch: bool) -> None:
    """Go on where a run died, until nothing is left to be done by itself."""
    llm.end()
    left: dict[str, int] = {}
    for _ in range(4):
        run_describe(library, anthropic(llm.url), sizes=SIZES, no_batch=no_batch)
        llm.end()
        left = statuses(library.database)
        if set(left) <= {"completed", "failed"} and sum(left.values()) == 3:
            break
    assert twice_paid(llm) == []
    assert set(left) <= {"completed", "failed"}
    assert sum(left.values()) == 3
    assert no_batch or left == {"completed": 3}
    assert len(llm.paid) <= 3
    open_ones = "SELECT count(*) FROM description_requests WHERE status = 'open'"
    assert rows(library.database, open_ones) == [(0,)]
    # Doubtful requests are sent again only on request.
    if left != {"completed": 3}:
        run_describe(library, anthropic(llm.url), no_batch=True, retry_failed=True)
    assert statuses(library.database) == {"completed": 3}


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("no_batch", [False, True], ids=["batches", "one by one"])
def test_a_kill_at_any_moment_pays_nothing_twice_and_loses_nothing(
    three: Library, llm: AnthropicServer, library_url: str, no_batch: bool
) -> None:
    work = work_at(llm, library_url, no_batch=no_batch)
    count = moments_of(work)
    assert count > 30
    assert statuses(three.database) == {"completed": 3}
    for moment in moments(count, few=6):
        forget_all(three.database)
        llm.paid.clear()
        llm.batches.clear()
        assert killed_at(moment, work)
        require_nothing_lost_or_paid_twice(three, llm, no_batch=no_batch)
