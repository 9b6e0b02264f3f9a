"""`facesets describe`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console, queueing
from facesets.cli.index_stage import say_which_are_empty
from facesets.cli.opening import work_on_library
from facesets.cli.params import DatabaseOption, folders_meant
from facesets.cli.wording import worded
from facesets.errors import Field, WrongUsage
from facesets.operations.options.declaration import Option
from facesets.operations.options.library import DescribeOptions
from facesets.plurals import counted
from facesets.result import Result
from facesets.words import photos as words

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesets.interfaces import Progress

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[DIR]...",
        help="Only photos below any of these folders, of those that are in the library.",
        show_default=False,
    ),
]
TargetOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--under",
        "--target",
        metavar="DIR...",
        help="The same as DIR; any of both.",
        show_default=False,
        envvar=["FACESETS_DESCRIBE_UNDER", "FACESETS_DESCRIBE_TARGET"],
    ),
]
YesOption = Annotated[bool, Option("Send without being asked. For cron.")]
LlmUriOption = Annotated[
    str | None,
    Option("A server with OpenAI's chat interface, such as http://localhost:11434/v1.", metavar="URL"),
]


def describe(
    context: typer.Context,
    folders: FoldersArgument = None,
    target: TargetOption = None,
    database: DatabaseOption = None,
    llm_uri: LlmUriOption = None,
    *,
    options: DescribeOptions,
    yes: YesOption = False,
) -> None:
    """Let a language model describe photos of the library in words, to find them by `search --words`.

    Photos leave this machine unless the model runs on it: what is sent, to whom, and what it costs is shown
    first, and nothing is sent before you agree. See docs/describe.md.
    """
    from facesets import settings
    from facesets.assembly.commands import VERBS
    from facesets.files import plain_path

    below = tuple(plain_path(path) for path in folders_meant(context, folders, target))
    if queueing.is_asked():
        if not yes:
            raise WrongUsage(
                "A worker cannot ask you before photos are sent. Add --yes, or leave out --queue."
            )
        queueing.refuse_secrets(llm_uri)
        queueing.queue("describe", database, below=below, llm_uri=llm_uri, options=options)
        return
    console.only_the_result_unless_watched()
    llm = settings.load_llm()
    with work_on_library(database) as library_work:
        work = replace(library_work, llm=llm)
        agree = _agree(work.progress, yes=yes)
        done = VERBS["describe"].run(work, below=below, options=options, llm_uri=llm_uri, agree=agree)
        say_which_are_empty(work.library, [str(folder) for folder in below])
    _show(work.session.label, done)


def _agree(progress: "Progress", *, yes: bool) -> "Callable[[Result], bool]":
    def agree(said: Result) -> bool:
        with console.paused(progress):
            for line in words.announced(said):
                (console.remark if yes else console.notice)(line)
            if yes or not said.leaves:
                return True
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise WrongUsage(f"Nothing was sent. Say {Field('yes')} if you mean it.")
            return console.agrees(f"Send {counted(said.photos, 'photo')}?")

    return agree


def _show(label: str, done: Result) -> None:
    if done.dry_run and done.announced is not None and not console.session.json:
        for line in words.announced(done.announced):
            console.out(worded(line))
    for note in done.notes:
        console.notice(note)
    console.show(done, words.describe(done, label=label), asked_for=done.dry_run)
    if done.failed:
        console.notice("`facesets stats --stages` shows why photos failed; --retry-failed sends them again.")
    console.finish(failed=done.failed + console.unreadable(done.failures, strict=False))
