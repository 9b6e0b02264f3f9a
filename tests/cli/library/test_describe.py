"""`facesets describe` and `facesets search --words`, as a user types them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facesets.remote import retry
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos import descriptions
from tests.fixtures.anthropic_server import KEY, AnthropicServer, serving_anthropic
from tests.fixtures.described import as_text, made_photos, take_in
from tests.fixtures.library_people import rows
from tests.fixtures.llm_server import Failure, an_answer
from tests.fixtures.openai_server import serving_openai
from tests.fixtures.program import Result
from tests.fixtures.terminal import Terminal

Call = Callable[..., Result]


@pytest.fixture
def llm() -> Iterator[AnthropicServer]:
    with serving_anthropic() as running:
        yield running


@pytest.fixture
def library(database: Database, tmp_path: Path) -> Library:
    found = Library(database)
    take_in(found, made_photos(tmp_path / "photos", 3))
    return found


def environment(llm: AnthropicServer, **more: str) -> dict[str, str]:
    return {
        "LLM_PROVIDER": "anthropic",
        "ANTHROPIC_API_KEY": KEY,
        # Another name of this machine, which the program cannot know to be one.
        "ANTHROPIC_BASE_URL": llm.url.replace("127.0.0.1", "[::ffff:127.0.0.1]"),
        **more,
    }


@pytest.fixture
def describe(library: Library, facesets: Call, llm: AnthropicServer) -> Call:
    """Runs `describe` with that language model, and checks that its key stays secret."""
    assert library.settings is not None

    def call(*flags: object, status: int = 0, **more: str) -> Result:
        done = facesets("describe", *flags, status=status, **environment(llm, **more))
        assert "sk-" not in done.out + done.err
        assert "Traceback" not in done.err
        return done

    return call


@pytest.fixture
def found(facesets: Call) -> Callable[..., list[dict[str, str]]]:
    """What is found by words of descriptions."""

    def call(*words: str) -> list[dict[str, str]]:
        images: list[dict[str, str]] = json.loads(facesets("search", "--words", *words, "--json").out)[
            "images"
        ]
        return images

    return call


@pytest.mark.usefixtures("library")
def test_without_a_provider_nothing_is_sent(facesets: Call) -> None:
    result = facesets("describe", "--yes", status=2)
    assert "No language model is configured" in result.err
    assert "--llm-uri" in result.err


def test_describe_announces_what_is_sent_and_waits_for_consent(describe: Call, llm: AnthropicServer) -> None:
    result = describe("--no-batch", status=2)
    for words in (
        "3 photos will leave this machine and go to http://[::ffff:127.0.0.1]",
        "model claude-haiku-5-5",
        "JPEG of at most 1568 pixels",
        "with faces visible",
        "Not sent: names of files and folders; names of the people in it",
        "Estimated cost: $0.00",
        "Nothing was sent. To send without being asked, add --yes.",
    ):
        assert words in result.err, words
    dry = describe("--dry-run", "--no-batch", "--send-names", "--send-place", "--blur-faces").out
    assert "every detected face blurred" in dry
    assert "Not sent: names of files and folders.\n" in dry
    assert "\n3 photos without a description in " in dry
    assert dry.endswith(". Nothing was sent.\n")
    elsewhere = describe("--dry-run", "--no-batch", "--target", "/nowhere", "/no/photos")
    assert "0 photos without a description" in elsewhere.out
    for place in ("/nowhere", "/no/photos"):
        assert f"The library has no photo below {place}.\n" in elsewhere.err
    assert llm.bodies == []


def test_a_provider_that_does_not_answer_ends_the_run_with_status_2(
    describe: Call, llm: AnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_LONGEST_WAIT_S", 0.02)
    llm.failures = [Failure(529, headers={"retry-after": "0"}) for _ in range(12)]
    result = describe("--no-batch", "--yes", "--max-images", "1", status=2)
    assert "[::ffff:127.0.0.1]" in result.err


def test_failed_photos_are_reported(describe: Call, llm: AnthropicServer) -> None:
    llm.answer = lambda _: "I will not."
    output = describe("--no-batch", "--yes", "-q", status=3).err
    assert (
        "To see why photos failed, run `facesets stats --stages`. To send them again, add --retry-failed."
        in output
    )


def test_photos_are_described_and_found_by_words(
    describe: Call, facesets: Call, found: Callable[..., list[dict[str, str]]], llm: AnthropicServer
) -> None:
    answers = iter(
        [
            an_answer(text_in_image="Zum Goldenen Hirsch"),
            an_answer(description="Three children are swimming in a lake.", tags=["lake"]),
            an_answer(),
        ]
    )
    llm.answer = lambda _: as_text(next(answers))
    result = describe("--no-batch", "--yes", "--max-images", "3", "-v")
    assert ", 0 failed; cost $0.00" in result.out
    prompt = Path.home() / ".config" / "facesets" / "describe-prompt.txt"
    assert prompt.read_text().startswith("Describe this photo")
    assert llm.paid[0].text.startswith("Describe this photo")
    (lake,) = found("swims lakes")
    assert lake["description"] == "Three children are swimming in a lake."
    assert len(found("goldenen hirsch")) == 1
    assert len(found("dogs -hirsch")) == 2
    assert len(found('lake or "red coat"')) == 3
    assert found("elephant") == found("lake", "--from", "2031-01-01") == []
    assert "\n    Three children are swimming in a lake." in facesets("search", "--words", "lake").out


def test_batches_wait_for_more_and_are_collected(
    library: Library, describe: Call, llm: AnthropicServer
) -> None:
    few = describe("--yes").out
    assert "3 wait until there are enough for a batch; --no-batch describes them now." in few
    assert "3 wait until there are enough for a batch" in describe("--dry-run").out
    sent = json.loads(describe("--yes", "--json", MIN_BATCH_SIZE="2", BATCH_SIZE="2").out)
    assert (sent["under_way"], sent["held_back"]) == (2, 1)
    assert "2 in batches" in describe("--check-batches").out
    llm.end()
    came = describe("--check-batches", "--wait", BATCH_CHECK_INTERVAL="1").out
    assert "Described 2 photos" in came
    assert rows(library.database, "SELECT count(*) FROM descriptions") == [(2,)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"LLM_PROVIDER": "clippy"}, "Unknown LLM_PROVIDER clippy"),
        ({"ANTHROPIC_API_KEY": ""}, "ANTHROPIC_API_KEY is not set"),
        ({"ANTHROPIC_API_KEY": "sk-wrong"}, "rejected the API key"),
        ({"BATCH_SIZE": "many"}, "BATCH_SIZE is not a whole number"),
        ({"LLM_MODEL": "claude-nobody-knows"}, "does not know the model"),
        ({"LLM_PROVIDER": "openai"}, "Missing server address"),
    ],
)
def test_wrong_settings_are_one_sentence(describe: Call, changed: dict[str, str], expected: str) -> None:
    assert expected in describe("--yes", "--no-batch", status=2, **changed).err


def test_a_configured_price_is_used(describe: Call, tmp_path: Path) -> None:
    config = tmp_path / "facesets.toml"
    config.write_text('[describe.prices."claude-of-tomorrow"]\ninput = 1000\noutput = 0\n')
    more = {"LLM_MODEL": "claude-of-tomorrow", "FACESETS_CONFIG": str(config)}
    output = describe("--dry-run", "--no-batch", **more).out
    assert "prices by your settings" in output
    assert "Estimated cost: $2" in output or "Estimated cost: $3" in output
    config.write_text('[describe.prices."claude-of-tomorrow"]\ninput = "cheap"\noutput = 0\n')
    assert "something other than numbers" in describe("--dry-run", status=2, **more).err


@pytest.mark.usefixtures("library")
def test_a_model_on_this_machine_needs_no_yes(facesets: Call) -> None:
    with serving_openai() as llm:
        result = facesets("describe", "--llm-uri", f"{llm.url}/v1", LLM_MODEL="gemma3")
        assert "Nothing leaves it." in result.err
        assert "Described 3 photos" in result.out
        assert llm.problems == []


def test_the_latest_come_first_where_very_many_have_the_words(
    library: Library,
    describe: Call,
    found: Callable[..., list[dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def taken() -> list[str]:
        return [hit["taken"] for hit in found("dog", "--limit", "2")]

    describe("--no-batch", "--yes")
    latest = ["2019-07-06 15:30:00", "2019-07-05 15:30:00"]
    assert taken() == latest
    monkeypatch.setattr(descriptions, "MAX_RANKED", 2)
    assert taken() == latest
    library.database.run(lambda connection: connection.execute("UPDATE images SET taken = NULL"))
    assert taken() == ["", ""]


@pytest.mark.slow
def test_the_user_at_the_terminal_is_asked(describe: Call, library_url: str, llm: AnthropicServer) -> None:
    def asked(answer: str) -> str:
        words = ("describe", "--no-batch", "--database", library_url)
        with Terminal(*words, env=environment(llm)) as terminal:
            terminal.expect(r"(?s)Estimated cost: \$0\.00.*Send 3 photos\? \[y/N\]: ")
            assert llm.bodies == []
            terminal.press(f"{answer}\n")
            terminal.end()
            return terminal.text

    assert "Nothing was sent." in asked("n")
    assert llm.bodies == []
    assert "Described 3 photos" in asked("y")
    assert len(llm.paid) == 3
    assert describe("--yes", "--no-batch").out.startswith("Nothing to describe in ")
