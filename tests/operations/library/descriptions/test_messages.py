"""`describe` photo by photo: each is asked about once, of Anthropic or a server with OpenAI's interface."""

from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import LiteralString

import pytest
from PIL import Image
from tests.fixtures.anthropic_server import KEY, AnthropicServer
from tests.fixtures.described import (
    anthropic,
    forget_all,
    made_photos,
    no_wait,
    run_describe,
    statuses,
    take_in,
)
from tests.fixtures.described_kills import killed_at
from tests.fixtures.library_people import rows
from tests.fixtures.llm_server import Failure, an_answer
from tests.fixtures.openai_server import serving_openai
from tests.fixtures.tagged_photos import packet, photo

from facesets.descriptions.asking import NotSent
from facesets.descriptions.prices import model_named
from facesets.errors import WrongUsage
from facesets.operations.library.stats import stages
from facesets.remote.llm.anthropic import Anthropic
from facesets.remote.llm.openai_chat import OpenAiChat
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.store.postgres.integrity import find_problems, repair_rows
from facesets.store.postgres.library import Library
from facesets.words import photos as words


def test_each_photo_is_described_once_and_stored_with_its_cost(
    library: Library, llm: AnthropicServer
) -> None:
    summary = run_describe(library, anthropic(llm.url), no_batch=True)
    assert (summary.described, summary.failed, summary.to_do) == (6, 0, 0)
    assert statuses(library.database) == {"completed": 6}
    ((reported, tags, cost, tokens, seconds),) = rows(
        library.database,
        """SELECT description, tags, cost_usd, input_tokens, duration_s FROM descriptions
            ORDER BY image_id LIMIT 1""",
    )
    assert (reported, tags) == (an_answer()["description"], ["snow", "dog", "winter"])
    assert cost == Decimal(tokens) * Decimal("0.1") / 10**6 + Decimal(400) * Decimal("0.5") / 10**6
    assert seconds > 0
    (total,) = rows(library.database, "SELECT sum(cost_usd) FROM description_requests")[0]
    assert summary.cost_usd == pytest.approx(float(total))
    assert run_describe(library, anthropic(llm.url), no_batch=True).described == 0
    assert len(llm.paid) == 6
    row = next(each for each in stages(library).stages if each.stage == "describe")
    assert (row.completed, row.pending) == (6, 0)


def test_only_the_picture_and_what_was_announced_leave_and_nothing_before_the_user_agreed(
    library: Library, llm: AnthropicServer
) -> None:
    announced: list[Result] = []

    def agree(reported: Result) -> bool:
        announced.append(reported)
        return len(announced) > 1

    assert run_describe(library, anthropic(llm.url), dry_run=True).to_do == 6
    refused = run_describe(library, anthropic(llm.url), no_batch=True, agree=agree)
    assert (refused.agreed, refused.to_do, llm.bodies) == (False, 6, [])
    assert statuses(library.database) == {}
    run_describe(library, anthropic(llm.url), no_batch=True, agree=agree)
    _, reported = announced
    assert (reported.photos, reported.to, reported.leaves) == (6, llm.url, False)
    assert len(llm.bodies) == reported.photos
    for paid in llm.paid:
        assert paid.text.splitlines()[0] == "What is on it?"
        for secret in ("secret", "Secret", "47.", "8.5", "photos/"):
            assert secret not in paid.text
        jpeg = Image.open(BytesIO(paid.jpeg))
        assert dict(jpeg.getexif()) == {}
        assert "comment" not in jpeg.info
        assert b"Secret" not in paid.jpeg
        assert b"Exif" not in paid.jpeg


def test_large_photos_are_sent_small(database: Database, llm: AnthropicServer, tmp_path: Path) -> None:
    library = Library(database)
    take_in(library, made_photos(tmp_path / "large", 1, (3000, 500)))
    run_describe(library, anthropic(llm.url), no_batch=True)
    assert Image.open(BytesIO(llm.paid[0].jpeg)).size == (1568, 261)


def test_the_place_is_sent_only_on_request(library: Library, llm: AnthropicServer, tmp_path: Path) -> None:
    path = tmp_path / "by xmp.jpg"
    reported = {"exif:GPSLatitude": "48,12.5N", "exif:GPSLongitude": "16,22,30W"}
    path.write_bytes(photo("JPEG", xmp=packet(reported), edge=64))
    take_in(library, [path])
    run_describe(library, anthropic(llm.url), no_batch=True, send_place=True)
    sent = "".join(paid.text for paid in llm.paid)
    assert "Place: 47.37500, -8.53750" in sent
    assert "Place: 48.20833, -16.37500" in sent


def test_limits_and_overload_are_waited_for_and_cost_nothing(library: Library, llm: AnthropicServer) -> None:
    llm.failures = [
        Failure(429, headers={"retry-after": "7"}, kind="rate_limit_error"),
        Failure(529, kind="overloaded_error"),
        Failure(500),
    ]
    waited: list[float] = []
    model = model_named("claude-haiku-5-5", {})
    provider = Anthropic(llm.url, KEY, model, pause=waited.append, waits_s=(0.5,) * 3)
    assert run_describe(library, provider, no_batch=True).described == 6
    assert sorted(waited) == [0.5, 0.5, 7.0]
    assert len(llm.paid) == 6


@pytest.mark.parametrize("no_batch", [True, False], ids=["one by one", "a batch"])
def test_a_provider_that_stays_overloaded_ends_the_run_and_leaves_nothing_behind(
    library: Library, llm: AnthropicServer, no_batch: bool
) -> None:
    llm.failures = [Failure(529, kind="overloaded_error") for _ in range(16)]
    with pytest.raises(NotSent, match="529"):
        run_describe(library, anthropic(llm.url), no_batch=no_batch)
    assert statuses(library.database) == {}
    assert rows(library.database, "SELECT count(*) FROM description_requests") == [(0,)]
    llm.failures = []
    assert run_describe(library, anthropic(llm.url), no_batch=no_batch).sent == 6
    assert len(llm.paid) == (6 if no_batch else 0)


def test_possibly_paid_photos_stay_failed_until_sent_again_on_request(
    library: Library, llm: AnthropicServer
) -> None:
    llm.failures = [Failure(0, breaks=True)]
    summary = run_describe(library, anthropic(llm.url), no_batch=True)
    assert (summary.described, summary.failed) == (5, 1)
    assert len(llm.paid) == 6
    llm.failures = [Failure(529, kind="overloaded_error") for _ in range(16)]
    with pytest.raises(NotSent):
        run_describe(library, anthropic(llm.url), no_batch=True, retry_failed=True)
    llm.failures = []
    assert run_describe(library, anthropic(llm.url), no_batch=True).sent == 0
    assert statuses(library.database) == {"completed": 5, "failed": 1}
    again = run_describe(library, anthropic(llm.url), no_batch=True, retry_failed=True)
    assert (again.described, len(llm.paid)) == (1, 7)


@pytest.mark.parametrize(
    ("stop_reason", "answer", "reason"),
    [
        ("refusal", "", "the model refused to describe it"),
        ("max_tokens", "{", "the answer was truncated after 400 tokens"),
        ("end_turn", "I see a dog.", "the answer is no JSON"),
        ("end_turn", '{"description": "x"}', "the answer is not as asked for: quality: Field required"),
    ],
)
def test_an_answer_that_is_none_is_paid_and_stands_with_its_reason(
    library: Library, llm: AnthropicServer, stop_reason: str, answer: str, reason: str
) -> None:
    llm.stop_reason, llm.answer = stop_reason, lambda _: answer
    summary = run_describe(library, anthropic(llm.url), no_batch=True, max_images=1)
    assert (summary.described, summary.failed) == (0, 1)
    assert summary.cost_usd > 0
    row = next(each for each in stages(library).stages if each.stage == "describe")
    assert row.reasons == {reason: 1}
    llm.stop_reason, llm.answer = "", lambda _: str(an_answer()).replace("'", '"')
    assert run_describe(library, anthropic(llm.url), no_batch=True, max_images=1).described == 1
    assert run_describe(library, anthropic(llm.url), no_batch=True, retry_failed=True).described == 5


def test_a_limit_holds_to_the_cent_and_is_used_up(library: Library, llm: AnthropicServer) -> None:
    prices = {"claude-haiku-5-5": {"input": 1000.0, "output": 5000.0}}
    costs: list[float] = []
    llm.output_tokens = 4096
    most = 24.0
    while len(llm.paid) < 6:
        before = len(llm.paid)
        summary = run_describe(library, anthropic(llm.url, prices=prices), no_batch=True, max_cost=most)
        assert summary.cost_usd <= most
        assert summary.limit_reached or summary.to_do == 0
        paid = llm.paid[before:]
        real = sum(each.usage["input"] / 1000 + each.usage["output"] * 5 / 1000 for each in paid)
        assert summary.cost_usd == pytest.approx(real)
        costs.append(summary.cost_usd)
    assert max(costs) > 20


def test_a_limit_needs_a_price(library: Library, llm: AnthropicServer) -> None:
    with pytest.raises(WrongUsage, match=r"price of claude-of-tomorrow is unknown.*facesets.toml"):
        run_describe(library, anthropic(llm.url, "claude-of-tomorrow"), max_cost=1.0)
    assert run_describe(library, anthropic(llm.url, "claude-of-tomorrow"), no_batch=True).described == 6
    assert rows(library.database, "SELECT DISTINCT cost_usd FROM descriptions") == [(None,)]


def test_a_wrong_key_or_model_is_one_sentence(library: Library, llm: AnthropicServer) -> None:
    provider = anthropic(llm.url, "claude-nobody-knows")
    with pytest.raises(WrongUsage, match="does not know the model claude-nobody-knows"):
        run_describe(library, provider, no_batch=True)
    assert statuses(library.database) == {}
    llm.problems.clear()


_UNKNOWN = """SET session_replication_role = replica;
    UPDATE image_stages SET version_id = 999 WHERE stage = 'describe';
    SET session_replication_role = origin"""


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("by_hand", ["DELETE FROM image_stages WHERE stage = 'describe'", _UNKNOWN])
def test_paid_photos_are_not_sent_again_without_a_record_of_their_state(
    library: Library, llm: AnthropicServer, by_hand: LiteralString, checked: bool
) -> None:
    llm.failures = [Failure(0, breaks=True)]
    run_describe(library, anthropic(llm.url), no_batch=True, max_images=2)
    llm.stop_reason = "refusal"
    run_describe(library, anthropic(llm.url), no_batch=True, max_images=1)
    llm.stop_reason = "end_turn"
    assert statuses(library.database) == {"completed": 1, "failed": 2}
    library.database.run(lambda connection: connection.execute(by_hand))
    if checked:
        library.database.run(lambda connection: repair_rows(connection, "tester"))
        assert statuses(library.database) == {"completed": 1, "failed": 2}
        assert library.database.run(find_problems) == []
    assert run_describe(library, anthropic(llm.url), no_batch=True).sent == 3
    assert statuses(library.database) == {"completed": 4, "failed": 2}
    assert len(llm.paid) == 6
    assert run_describe(library, anthropic(llm.url), no_batch=True, retry_failed=True).sent == 2


def chat(url: str, key: str | None = None, model: str = "gemma3") -> OpenAiChat:
    return OpenAiChat(f"{url}/v1", key, model_named(model, {}), pause=no_wait, waits_s=(0.0,))


def test_photos_are_described_on_this_machine_for_nothing_also_within_markdown(library: Library) -> None:
    reported: list[Result] = []

    def agree(announced: Result) -> bool:
        reported.append(announced)
        return True

    with serving_openai() as llm:
        plain = llm.answer
        llm.answer = lambda text: f"```json\n{plain(text)}\n```" if len(llm.paid) % 2 else plain(text)
        summary = run_describe(library, chat(llm.url), max_cost=0.0, agree=agree)
        assert llm.problems == []
    assert (summary.described, summary.cost_usd) == (6, 0)
    (first, *_) = words.announced(reported[0])
    assert "on this machine" in first
    assert "Nothing leaves it" in first
    ((tokens, cached, cost),) = rows(
        library.database, "SELECT DISTINCT output_tokens, cache_read_tokens, cost_usd FROM descriptions"
    )
    assert (tokens, cached, cost) == (400, 100, 0)


def test_a_limit_of_an_own_server_needs_to_know_what_a_picture_counts(library: Library) -> None:
    price = {"input": 100.0, "output": 100.0}
    with serving_openai() as llm:
        for more, fits in (({}, False), ({"picture_tokens": 1000}, True)):
            model = model_named("gemma3", {"gemma3": price | more})
            provider = OpenAiChat(f"{llm.url}/v1", None, model, pause=no_wait)
            if not fits:
                with pytest.raises(WrongUsage, match="picture_tokens"):
                    run_describe(library, provider, max_cost=4.0)
                continue
            summary = run_describe(library, provider, max_cost=4.0)
            assert (summary.described, summary.limit_reached) == (6, False)
            assert 0 < summary.cost_usd < 4


def test_work_interrupted_on_an_own_server_is_repeated(library: Library, library_url: str) -> None:
    with serving_openai() as llm:
        assert killed_at(22, lambda: run_describe(Library(Database(library_url)), chat(llm.url)))
        interrupted = "SELECT count(*) > 0 FROM description_requests WHERE status = 'open'"
        assert rows(library.database, interrupted) == [(True,)]
        run_describe(library, chat(llm.url))
        assert statuses(library.database) == {"completed": 6}


@pytest.mark.parametrize(
    ("finish", "refusal", "reason"),
    [
        ("length", None, "the answer was truncated after 400 tokens"),
        ("stop", "I will not.", "the model refused to describe it"),
        ("content_filter", None, "the model refused to describe it"),
    ],
)
def test_an_answer_of_an_own_server_that_is_none_stands_with_its_reason(
    library: Library, finish: str, refusal: str | None, reason: str
) -> None:
    with serving_openai() as llm:
        llm.stop_reason, llm.refusal = finish, refusal
        assert run_describe(library, chat(llm.url), max_images=1).failed == 1
    row = next(each for each in stages(library).stages if each.stage == "describe")
    assert row.reasons == {reason: 1}


def test_a_key_goes_along_and_a_wrong_one_is_one_sentence(library: Library) -> None:
    with serving_openai(key="right") as llm:
        with pytest.raises(WrongUsage, match="rejected the API key"):
            run_describe(library, chat(llm.url, "wrong"))
        assert statuses(library.database) == {}
        assert run_describe(library, chat(llm.url, "right")).described == 6
        with pytest.raises(WrongUsage, match="does not know the model llava"):
            forget_all(library.database)
            run_describe(library, chat(llm.url, "right", "llava"))


def test_photos_with_missing_files_block_no_others(library: Library) -> None:
    for (path,) in rows(library.database, "SELECT path FROM image_paths ORDER BY image_id LIMIT 2"):
        Path(path).unlink()
    with serving_openai() as llm:
        summary = run_describe(library, chat(llm.url), max_images=1)
    assert (summary.described, summary.unavailable, summary.to_do) == (1, 2, 5)
