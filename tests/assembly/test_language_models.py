"""From settings to the language model that describes photos."""

import importlib.util

import pytest

from facesets.assembly.language_models import chosen_provider, language_model
from facesets.errors import MissingExtra, WrongUsage
from facesets.settings import LlmSettings, load, load_llm
from facesets.work import Stop

HERE = "http://localhost:1/v1"


@pytest.mark.parametrize(
    ("environment", "uri", "provider"),
    [
        ({}, None, ""),
        ({"ANTHROPIC_API_KEY": "k"}, None, "anthropic"),
        ({"BEDROCK_MODEL_ID": "m"}, None, "bedrock"),
        ({"ANTHROPIC_API_KEY": "k"}, HERE, "openai"),
        ({"ANTHROPIC_API_KEY": "k", "BEDROCK_MODEL_ID": "m", "LLM_PROVIDER": "Bedrock"}, None, "bedrock"),
    ],
)
def test_who_describes_is_what_was_named(environment: dict[str, str], uri: str | None, provider: str) -> None:
    assert chosen_provider(load_llm(environment), uri) == provider


def test_two_that_are_configured_need_a_word() -> None:
    both = load_llm({"ANTHROPIC_API_KEY": "k", "BEDROCK_MODEL_ID": "m"})
    with pytest.raises(WrongUsage, match="Say which one by LLM_PROVIDER"):
        chosen_provider(both, None)


def test_keys_show_nowhere() -> None:
    llm = load_llm({"ANTHROPIC_API_KEY": "sk-secret", "LLM_API_KEY": "other-secret"})
    assert "secret" not in repr(llm)


def test_what_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with (
        pytest.raises(MissingExtra, match="optional part describe"),
        language_model(load({}), LlmSettings(), HERE, Stop()),
    ):
        pass


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AWS_REGION": ""}, "Which region"),
        ({"BEDROCK_BATCH_S3_BUCKET": "b"}, "BEDROCK_BATCH_ROLE_ARN"),
        ({"BEDROCK_MODEL_ID": "amazon.nova-lite-v1:0"}, "no model of Anthropic's"),
        ({"BEDROCK_MODEL_ID": ""}, "BEDROCK_MODEL_ID"),
        ({"AWS_PROFILE": "nobody-has-this"}, "nobody-has-this"),
    ],
)
def test_what_bedrock_lacks_is_said(environment: dict[str, str], said: str) -> None:
    usual = {
        "LLM_PROVIDER": "bedrock",
        "BEDROCK_MODEL_ID": "global.anthropic.claude-haiku-4-5-20251001-v1:0",
        "AWS_REGION": "us-east-1",
    }
    llm = load_llm(usual | environment)
    with pytest.raises(WrongUsage, match=said), language_model(load({}), llm, None, Stop()):
        pass


def test_bedrock_has_batches_where_there_is_a_bucket() -> None:
    usual = {
        "LLM_PROVIDER": "bedrock",
        "BEDROCK_MODEL_ID": "global.anthropic.claude-haiku-4-5-20251001-v1:0",
        "AWS_REGION": "us-east-1",
    }
    bucket = {"BEDROCK_BATCH_S3_BUCKET": "b", "BEDROCK_BATCH_ROLE_ARN": "r"}
    for more, has in ((bucket, True), ({}, False)):
        with language_model(load({}), load_llm(usual | more), None, Stop()) as provider:
            assert provider is not None
            assert (provider.batches is not None) is has
            assert provider.place == "Amazon Bedrock in us-east-1"
