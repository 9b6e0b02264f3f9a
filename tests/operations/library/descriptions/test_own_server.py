"""`describe --llm-uri`: a server with OpenAI's chat interface."""

from pathlib import Path

import pytest
from tests.fixtures.described import forget_all, made_photos, no_wait, run_describe, statuses, take_in
from tests.fixtures.described_kills import killed_at
from tests.fixtures.library_people import rows
from tests.fixtures.openai_server import serving_openai

from facesets.descriptions.prices import model_named
from facesets.errors import WrongUsage
from facesets.operations.library.stats import stages
from facesets.remote.llm.openai_chat import OpenAiChat
from facesets.result import Result
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.words import photos as words


@pytest.fixture
def library(database: Database, tmp_path: Path) -> Library:
    found = Library(database)
    take_in(found, made_photos(tmp_path / "photos", 3))
    return found


def chat(url: str, key: str | None = None, model: str = "gemma3") -> OpenAiChat:
    return OpenAiChat(f"{url}/v1", key, model_named(model, {}), pause=no_wait, waits_s=(0.0,))


def test_photos_are_described_on_this_machine_for_nothing(library: Library) -> None:
    said: list[Result] = []

    def agree(announced: Result) -> bool:
        said.append(announced)
        return True

    with serving_openai() as llm:
        summary = run_describe(library, chat(llm.url), max_cost=0.0, agree=agree)
        assert llm.problems == []
    assert (summary.described, summary.cost_usd) == (3, 0)
    (first, *_) = words.announced(said[0])
    assert "on this machine" in first
    assert "Nothing leaves it" in first
    ((tokens, cached, cost),) = rows(
        library.database, "SELECT DISTINCT output_tokens, cache_read_tokens, cost_usd FROM descriptions"
    )
    assert (tokens, cached, cost) == (400, 100, 0)


def test_a_limit_needs_to_know_what_a_picture_counts(library: Library) -> None:
    price = {"input": 100.0, "output": 100.0}
    with serving_openai() as llm:
        for more, fits in (({}, False), ({"picture_tokens": 1000}, True)):
            model = model_named("gemma3", {"gemma3": price | more})
            provider = OpenAiChat(f"{llm.url}/v1", None, model, pause=no_wait)
            if not fits:
                with pytest.raises(WrongUsage, match="picture_tokens"):
                    run_describe(library, provider, max_cost=2.0)
                continue
            summary = run_describe(library, provider, max_cost=2.0)
            assert (summary.described, summary.limit_reached) == (3, False)
            assert 0 < summary.cost_usd < 2


@pytest.mark.slow
def test_what_a_kill_interrupts_there_is_simply_done_again(library: Library, library_url: str) -> None:
    with serving_openai() as llm:

        def work() -> None:
            run_describe(Library(Database(library_url)), chat(llm.url))

        moment = 1
        while killed_at(moment, work):
            moment += 4
            run_describe(library, chat(llm.url))
            assert statuses(library.database) == {"completed": 3}
            forget_all(library.database)


@pytest.mark.parametrize(
    ("finish", "refusal", "reason"),
    [
        ("length", None, "the answer was cut off after 400 tokens"),
        ("stop", "I will not.", "the model refuses to describe it"),
        ("content_filter", None, "the model refuses to describe it"),
    ],
)
def test_an_answer_that_is_none_stands_with_its_reason(
    library: Library, finish: str, refusal: str | None, reason: str
) -> None:
    with serving_openai() as llm:
        llm.stop_reason, llm.refusal = finish, refusal
        assert run_describe(library, chat(llm.url), max_images=1).failed == 1
    row = next(each for each in stages(library).stages if each.stage == "describe")
    assert row.reasons == {reason: 1}


def test_answers_within_markdown_are_read(library: Library) -> None:
    with serving_openai() as llm:
        plain = llm.answer
        llm.answer = lambda text: f"```json\n{plain(text)}\n```"
        assert run_describe(library, chat(llm.url)).described == 3


def test_a_key_goes_along_and_a_wrong_one_is_one_sentence(library: Library) -> None:
    with serving_openai(key="right") as llm:
        with pytest.raises(WrongUsage, match="does not accept the API key"):
            run_describe(library, chat(llm.url, "wrong"))
        assert statuses(library.database) == {}
        assert run_describe(library, chat(llm.url, "right")).described == 3
        with pytest.raises(WrongUsage, match="does not know the model llava"):
            forget_all(library.database)
            run_describe(library, chat(llm.url, "right", "llava"))


def test_photos_whose_files_are_gone_keep_no_others_from_their_turn(library: Library) -> None:
    for (path,) in rows(library.database, "SELECT path FROM image_paths ORDER BY image_id LIMIT 2"):
        Path(path).unlink()
    with serving_openai() as llm:
        summary = run_describe(library, chat(llm.url), max_images=1)
    assert (summary.described, summary.unavailable, summary.to_do) == (1, 2, 2)
