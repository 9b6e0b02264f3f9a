"""`describe`: choose language model, prompt and photos from the settings."""

import importlib.util
from contextlib import contextmanager
from typing import TYPE_CHECKING

from facesets.errors import Field, MissingExtra, WrongUsage
from facesets.files import printable
from facesets.installation import page
from facesets.operations.options.library import DescribeOptions
from facesets.result import Result
from facesets.settings import LlmSettings, Secret, Settings
from facesets.work import Stop, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from facesets.descriptions.asking import Provider
    from facesets.store.postgres.library import Library

_PROVIDERS = ("anthropic", "bedrock", "openai")
_DEFAULT_MODEL = "claude-haiku-5-5"


def describe_photos(
    library: "Library",
    below: "Sequence[str]",
    options: DescribeOptions,
    conf: Settings,
    llm: LlmSettings,
    llm_uri: str | None,
    *,
    agree: "Callable[[Result], bool]",
    work: Work,
) -> Result:
    """Describe photos with a language model, after `agree` confirms it.

    Raises
    ------
    AlreadyRunning
        Another run is describing photos.
    As `describe` and `language_model`.
    """
    from facesets.descriptions.asking import read_prompt
    from facesets.operations.library.descriptions.describing import BatchSizes, check_batches, describe
    from facesets.remote.retry import Stopped, pausing
    from facesets.store.postgres.claims import RunLock

    sizes = BatchSizes(llm.batch_size, llm.min_batch_size)

    def pause(seconds: float) -> None:
        try:
            pausing(work.stop)(seconds)
        except Stopped:
            return

    with (
        language_model(conf, llm, llm_uri, work.stop, needed=not options.check_batches) as provider,
        RunLock(library.database, "describe"),
    ):
        if provider is None or options.check_batches:
            return check_batches(
                library, provider, options, interval_s=llm.check_interval_s, pause=pause, work=work
            )
        prompt = read_prompt(conf.config_dir, write=not options.dry_run)
        return describe(library, provider, prompt, tuple(below), options, sizes, agree=agree, work=work)


def chosen_provider(llm: LlmSettings, uri: str | None) -> str:
    """Return the provider from flags and settings; empty for none.

    Raises
    ------
    WrongUsage
        No provider has that name, or flags and settings contradict each other.
    """
    if llm.provider and llm.provider not in _PROVIDERS:
        raise WrongUsage(
            f"Unknown LLM_PROVIDER {printable(llm.provider)}. Set it to one of {', '.join(_PROVIDERS)}."
        )
    if uri is not None:
        return "openai"
    if llm.provider:
        return llm.provider
    configured = [
        name
        for name, has in (
            ("anthropic", llm.anthropic_api_key is not None),
            ("bedrock", bool(llm.bedrock_model)),
        )
        if has
    ]
    if len(configured) > 1:
        raise WrongUsage("Both Anthropic and Bedrock are configured. Set LLM_PROVIDER to choose one.")
    return configured[0] if configured else ""


@contextmanager
def language_model(
    conf: Settings, llm: LlmSettings, uri: str | None, stop: Stop, *, needed: bool = True
) -> "Iterator[Provider | None]":
    """Yield the language model for the block; None if none is configured or needed.

    Raises
    ------
    WrongUsage
        None is configured, or a setting is missing or wrong.
    MissingExtra
        It needs a package that is not installed.
    """
    name = chosen_provider(llm, uri)
    if not name and needed:
        raise WrongUsage(
            f"No language model is configured, and no photo was sent. Give {Field('llm_uri', 'URL')} "
            "for a model on your machine, or set LLM_PROVIDER to anthropic or bedrock (see "
            f"{page('describe.md')})."
        )
    if not name:
        yield None
        return
    if importlib.util.find_spec("pydantic") is None:
        raise MissingExtra("describe")
    provider = _made(name, conf, llm, uri, stop)
    try:
        yield provider
    finally:
        provider.close()


def _made(name: str, conf: Settings, llm: LlmSettings, uri: str | None, stop: Stop) -> "Provider":
    from facesets.descriptions.prices import model_named
    from facesets.remote.retry import pausing

    pause = pausing(stop)
    if name == "anthropic":
        from facesets.remote.llm.anthropic import Anthropic

        model = model_named(llm.model or _DEFAULT_MODEL, conf.llm_prices)
        own_key = _key(llm.anthropic_api_key, "ANTHROPIC_API_KEY")
        return Anthropic(llm.anthropic_url, own_key, model, pause=pause)
    if name == "openai":
        from facesets.remote.llm.openai_chat import OpenAiChat

        if uri is None:
            raise WrongUsage(f"Missing server address. Give {Field('llm_uri', 'http://localhost:11434/v1')}.")
        model = model_named(llm.model, conf.llm_prices)
        key = None if llm.api_key is None else _key(llm.api_key, "LLM_API_KEY")
        return OpenAiChat(uri, key, model, pause=pause)
    from facesets.remote.llm.bedrock import bedrock

    if not llm.bedrock_model:
        raise WrongUsage("Missing model. Set BEDROCK_MODEL_ID, such as global.anthropic.claude-haiku-5-5.")
    return bedrock(
        model_named(llm.bedrock_model, conf.llm_prices),
        region=llm.aws_region,
        profile=llm.aws_profile,
        bucket=llm.bedrock_bucket,
        role=llm.bedrock_role,
        pause=pause,
    )


def _key(key: Secret | None, variable: str) -> str:
    """Return a key for a header. Raises `WrongUsage` without showing it."""
    text = "" if key is None else key.reveal().strip()
    if not text:
        raise WrongUsage(f"{variable} is not set. Set it to the API key of your account.")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise WrongUsage(f"{variable} contains invalid characters. Copy the key again.")
    return text
