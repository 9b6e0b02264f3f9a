"""`describe`: from settings to the language model, the prompt, and what is sent."""

from collections.abc import Callable, Sequence

from facesets.assembly.language_models import language_model
from facesets.descriptions.prompt import read_prompt
from facesets.operations.library.descriptions.describing import BatchSizes, check_batches, describe
from facesets.operations.options.library import DescribeOptions
from facesets.remote.retry import Stopped, pausing
from facesets.result import Result
from facesets.settings import LlmSettings, Settings
from facesets.store.postgres.claims import RunLock
from facesets.store.postgres.library import Library
from facesets.work import Work


def describe_photos(
    library: Library,
    below: Sequence[str],
    options: DescribeOptions,
    conf: Settings,
    llm: LlmSettings,
    llm_uri: str | None,
    *,
    agree: Callable[[Result], bool],
    work: Work,
) -> Result:
    """Let a language model describe photos, once `agree` says so.

    Raises
    ------
    AlreadyRunning
        Another run does.
    As `describe` and `language_model`.
    """
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
