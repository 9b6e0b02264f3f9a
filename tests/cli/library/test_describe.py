"""`facesets describe` and `facesets search --words`, as a user types them."""

import json
from collections.abc import Iterator
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
from tests.fixtures.program import Result, run
from tests.fixtures.terminal import Terminal


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


def described(llm: AnthropicServer, library_url: str, *flags: str, **more: str) -> Result:
    return run("describe", "--database", library_url, *flags, env=environment(llm, **more))


@pytest.mark.usefixtures("library")
def test_without_a_provider_nothing_is_sent(library_url: str) -> None:
    result = run("describe", "--yes", "--database", library_url)
    assert result.status == 2
    assert "No language model is configured" in result.err
    assert "--llm-uri" in result.err


@pytest.mark.usefixtures("library")
def test_it_says_what_leaves_and_does_nothing_unless_it_is_told_to(
    library_url: str, llm: AnthropicServer
) -> None:
    result = described(llm, library_url, "--no-batch")
    assert (result.status, llm.bodies) == (2, [])
    assert "3 photos will leave this machine and go to http://[::ffff:127.0.0.1]" in result.err
    for words in (
        "model claude-haiku-5-5",
        "JPEG of at most 1568 pixels",
        "with faces as they are",
        "Not sent: names of files and folders; names of the people on it",
        "Estimated cost: $0.00",
        "Nothing was sent. Say --yes if you mean it.",
    ):
        assert words in result.err, words
    assert KEY not in result.err
    dry = described(
        llm, library_url, "--dry-run", "--no-batch", "--send-names", "--send-place", "--blur-faces"
    )
    assert (dry.status, llm.bodies) == (0, [])
    assert "every face that was found blurred" in dry.out
    assert "Not sent: names of files and folders.\n" in dry.out
    assert "3 photos without a description. Nothing was sent." in dry.out
    elsewhere = described(llm, library_url, "--dry-run", "--no-batch", "--target", "/nowhere", "/no/photos")
    assert "0 photos without a description" in elsewhere.out
    assert (
        "The library has no photo below /nowhere.\nThe library has no photo below /no/photos."
        in elsewhere.err
    )


@pytest.mark.usefixtures("library")
def test_a_provider_that_does_not_answer_ends_the_run_with_status_2(
    library_url: str, llm: AnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_LONGEST_WAIT_S", 0.02)
    llm.failures = [Failure(529, headers={"retry-after": "0"}) for _ in range(12)]
    result = described(llm, library_url, "--no-batch", "--yes", "--max-images", "1")
    assert (result.status, result.err.count("Traceback")) == (2, 0)
    assert "[::ffff:127.0.0.1]" in result.err


@pytest.mark.usefixtures("library")
def test_photos_that_failed_are_not_passed_over_in_silence(library_url: str, llm: AnthropicServer) -> None:
    llm.answer = lambda _: "I will not."
    result = described(llm, library_url, "--no-batch", "--yes", "-q")
    assert result.status == 3
    assert "`facesets stats --stages` shows why photos failed; --retry-failed sends them again." in result.err


@pytest.mark.usefixtures("library")
def test_photos_are_described_and_found_by_words(library_url: str, llm: AnthropicServer) -> None:
    said = iter(
        [
            an_answer(text_in_image="Zum Goldenen Hirsch"),
            an_answer(description="Three children are swimming in a lake.", tags=["lake"]),
            an_answer(),
        ]
    )
    llm.answer = lambda _: as_text(next(said))
    result = described(llm, library_url, "--no-batch", "--yes", "--max-images", "3", "-v")
    assert result.status == 0, result.err
    assert "3 photos described, 0 failed; paid $0.00" in result.out
    prompt = Path.home() / ".config" / "facesets" / "describe-prompt.txt"
    assert prompt.read_text().startswith("Describe this photo")
    assert llm.paid[0].text.startswith("Describe this photo")

    def found(*words: str) -> list[str]:
        answer = run("search", "--words", *words, "--json", "--database", library_url)
        assert answer.status == 0, answer.err
        return [hit["description"] for hit in json.loads(answer.out)["images"]]

    assert found("swims lakes") == ["Three children are swimming in a lake."]
    assert len(found("goldenen hirsch")) == 1
    assert len(found("dogs -hirsch")) == 2
    assert len(found('lake or "red coat"')) == 3
    assert found("elephant") == []
    assert found("lake", "--from", "2031-01-01") == []
    shown = run("search", "--words", "lake", "--database", library_url)
    assert "\n    Three children are swimming in a lake." in shown.out


def test_batches_wait_for_more_and_are_collected(
    library: Library, library_url: str, llm: AnthropicServer
) -> None:
    few = described(llm, library_url, "--yes")
    assert "3 wait for more to make a batch; --no-batch describes them now." in few.out
    assert "3 wait for more to make a batch" in described(llm, library_url, "--dry-run").out
    sent = described(llm, library_url, "--yes", "--json", MIN_BATCH_SIZE="2", BATCH_SIZE="2")
    assert (json.loads(sent.out)["under_way"], json.loads(sent.out)["held_back"]) == (2, 1)
    assert "2 in batches" in described(llm, library_url, "--check-batches").out
    llm.end()
    came = described(llm, library_url, "--check-batches", "--wait", BATCH_CHECK_INTERVAL="1")
    assert "2 photos described" in came.out
    assert rows(library.database, "SELECT count(*) FROM descriptions") == [(2,)]


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"LLM_PROVIDER": "clippy"}, "LLM_PROVIDER clippy is none"),
        ({"ANTHROPIC_API_KEY": ""}, "ANTHROPIC_API_KEY is not set"),
        ({"ANTHROPIC_API_KEY": "sk-wrong"}, "does not accept the API key"),
        ({"BATCH_SIZE": "many"}, "BATCH_SIZE is no whole number"),
        ({"LLM_MODEL": "claude-nobody-knows"}, "does not know the model"),
        ({"LLM_PROVIDER": "openai"}, "Where is the server?"),
    ],
)
def test_wrong_settings_are_one_sentence(
    library_url: str, llm: AnthropicServer, changed: dict[str, str], said: str
) -> None:
    result = described(llm, library_url, "--yes", "--no-batch", **changed)
    assert (result.status, said in result.err) == (2, True), result.err
    assert "Traceback" not in result.err
    assert "sk-" not in result.err


@pytest.mark.usefixtures("library")
def test_an_own_price_counts(library_url: str, llm: AnthropicServer, tmp_path: Path) -> None:
    config = tmp_path / "facesets.toml"
    config.write_text('[describe.prices."claude-of-tomorrow"]\ninput = 1000\noutput = 0\n')
    more = {"LLM_MODEL": "claude-of-tomorrow", "FACESETS_CONFIG": str(config)}
    said = described(llm, library_url, "--dry-run", "--no-batch", **more)
    assert "prices by your settings" in said.out
    assert "Estimated cost: $2" in said.out or "Estimated cost: $3" in said.out
    config.write_text('[describe.prices."claude-of-tomorrow"]\ninput = "cheap"\noutput = 0\n')
    assert "something other than numbers" in described(llm, library_url, "--dry-run", **more).err


@pytest.mark.usefixtures("library")
def test_a_model_on_this_machine_needs_no_yes(library_url: str) -> None:
    with serving_openai() as llm:
        flags = ("--llm-uri", f"{llm.url}/v1", "--database", library_url)
        result = run("describe", *flags, env={"LLM_MODEL": "gemma3"})
        assert result.status == 0, result.err
        assert "Nothing leaves it." in result.err
        assert "3 photos described" in result.out
        assert llm.problems == []


def test_the_latest_come_first_where_very_many_have_the_words(
    library: Library, library_url: str, llm: AnthropicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    described(llm, library_url, "--no-batch", "--yes")

    def found() -> list[str]:
        answer = run("search", "--words", "dog", "--limit", "2", "--json", "--database", library_url)
        return [hit["taken"] for hit in json.loads(answer.out)["images"]]

    latest = ["2019-07-06 15:30:00", "2019-07-05 15:30:00"]
    assert found() == latest
    monkeypatch.setattr(descriptions, "MOST_RANKED", 2)
    assert found() == latest
    library.database.run(lambda connection: connection.execute("UPDATE images SET taken = NULL"))
    assert found() == ["", ""]


@pytest.mark.slow
@pytest.mark.usefixtures("library")
def test_whoever_sits_at_the_terminal_is_asked(library_url: str, llm: AnthropicServer) -> None:
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
    assert "3 photos described" in asked("y")
    assert len(llm.paid) == 3
    again = described(llm, library_url, "--yes", "--no-batch")
    assert again.out.endswith(": nothing to describe.\n")
