"""`facesets describe`, and `facesets tags list | set | run`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets import settings
from facesets.cli import console, queueing
from facesets.cli.library.index import report_empty_folders, report_unembedded
from facesets.cli.opening import opened_library, work_on_library
from facesets.cli.params import ClipPackOption, DatabaseOption, MlUriOption, ProviderOption, chosen_folders
from facesets.cli.wording import worded
from facesets.errors import Field, WrongUsage
from facesets.files import plain_path, printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.library import DescribeOptions
from facesets.operations.options.shared import DryRun
from facesets.plurals import counted
from facesets.result import Result
from facesets.words import photos as words

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesets.interfaces import Progress
    from facesets.operations.library.tags import ListedCategory

FoldersArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[DIR]...",
        help="Only photos of the library below these folders.",
        show_default=False,
    ),
]
TargetOption = Annotated[
    tuple[Path, ...],
    Option("The same as DIR; all folders count.", metavar="DIR...", flag="--under --target"),
]
YesOption = Annotated[bool, Option("Skip the question. For cron.")]
LlmUriOption = Annotated[
    str | None,
    Option("A server with OpenAI's chat interface, such as http://localhost:11434/v1.", metavar="URL"),
]


def describe(
    context: typer.Context,
    folders: FoldersArgument = None,
    target: TargetOption = (),
    database: DatabaseOption = None,
    llm_uri: LlmUriOption = None,
    *,
    options: DescribeOptions,
    yes: YesOption = False,
) -> None:
    """Describe photos in words with a language model.

    `search --words` then finds them. Photos leave this machine unless the model runs on it: before anything
    is sent, you see what is sent, where to and at what cost, and confirm it. See docs/describe.md.
    """
    from facesets.assembly.commands import VERBS

    below = tuple(plain_path(path) for path in chosen_folders(context, folders, target))
    if queueing.is_asked():
        if not yes:
            raise WrongUsage("A worker cannot ask you before photos are sent. Add --yes, or remove --queue.")
        queueing.refuse_secrets(llm_uri)
        queueing.queue("describe", database, below=below, llm_uri=llm_uri, options=options)
        return
    console.quiet_unless_terminal()
    llm = settings.load_llm()
    with work_on_library(database) as library_work:
        work = replace(library_work, llm=llm)
        agree = _agree(work.progress, yes=yes)
        done = VERBS["describe"].run(work, below=below, options=options, llm_uri=llm_uri, agree=agree)
        report_empty_folders(work.library, [str(folder) for folder in below])
    _show(work.session.label, done)


def _agree(progress: "Progress", *, yes: bool) -> "Callable[[Result], bool]":
    def agree(announcement: Result) -> bool:
        with console.paused(progress):
            for line in words.announced(announcement):
                (console.remark if yes else console.notice)(line)
            if yes or not announcement.leaves:
                return True
            if not console.can_ask():
                raise WrongUsage(f"Nothing was sent. To send without being asked, add {Field('yes')}.")
            return console.agrees(f"Send {counted(announcement.photos, 'photo')}?")

    return agree


def _show(label: str, done: Result) -> None:
    if done.dry_run and done.announced is not None and not console.session.json:
        for line in words.announced(done.announced):
            console.out(worded(line))
    for note in done.notes:
        console.notice(note)
    console.show(done, words.describe(done, label=label), asked_for=done.dry_run)
    if done.failed:
        console.notice(
            "To see why photos failed, run `facesets stats --stages`. To send them again, add --retry-failed."
        )
    console.finish(failed=done.failed + console.unreadable(done.failures, strict=False))


tags = typer.Typer(
    help="List and set tags of photos and faces.",
    no_args_is_help=True,
)


@tags.command("list")
def list_(
    database: DatabaseOption = None,
    toml: Annotated[bool, Option("Print the categories as a file for `tags set`.")] = False,
) -> None:
    """List tags, and how many photos or faces have each."""
    from facesets.operations.library.tag_file import as_toml
    from facesets.operations.library.tags import categories_of, list_tags

    with opened_library(database) as library:
        if toml:
            console.out(as_toml(categories_of(library)).rstrip("\n"))
            return
        found = list_tags(library)
    lines = [line for each in found.categories for line in _category_lines(each)]
    console.show(found, lines, asked_for=True)
    if found.is_shipped:
        console.aside("No photo is tagged yet. Tag the embedded photos with `facesets index --stage scene`.")


def _category_lines(category: "ListedCategory") -> list[str]:
    about = "faces" if category.target == "face" else "photos"
    how = "the best one" if category.mode == "single" else "all"
    found = ", ".join(f"{printable(name)} {count}" for name, count in category.tags.items())
    return [f"{category.name} ({about}; {how} confidence at least {category.min_confidence:g})", f"  {found}"]


@tags.command("set")
def set_(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", show_default=False)],
    database: DatabaseOption = None,
    only: Annotated[bool, Option("Remove categories that are not in FILE, and their tags.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Add or replace tag categories from FILE.

    `index --stage scene` then applies them.
    """
    from facesets.operations.library.tags import set_tags

    with opened_library(database) as library:
        done = set_tags(library, file, only=only, dry_run=dry_run)
    console.show(done, words.tags_set(done), asked_for=dry_run)
    if (done.added or done.changed) and not dry_run:
        console.remark("Apply them with `facesets index --stage scene`; faces have `--stage face-tags`.")


@tags.command("run", hidden=True)
def run(
    database: DatabaseOption = None,
    faces: Annotated[bool, Option("Tag faces, too: reads each photo with faces once.")] = False,
    force: Annotated[bool, Option("Tag all photos again, even if nothing changed.")] = False,
    retry_failed: Annotated[bool, Option("Also retry photos whose faces could not be tagged.")] = False,
    max_images: Annotated[
        int | None, Option("Maximum number of photos to tag.", least=1, synonyms="--limit")
    ] = None,
    clip_pack: ClipPackOption = None,
    ml_uri: MlUriOption = None,
    provider: ProviderOption = "auto",
    dry_run: DryRun = False,
) -> None:
    """Tag photos of the library that lack tags.

    Photos whose categories changed are tagged again. Uses the embeddings of `index`, so no photo is read.
    """
    from facesets.assembly.describing import RequestedModels
    from facesets.assembly.tags import run_tags
    from facesets.operations.ingest.stage_run import StageRunOptions

    console.quiet_unless_terminal()
    conf = settings.load()
    asked = RequestedModels((None, None, None), clip_pack, provider, ml_uri)
    options = StageRunOptions(
        force=force,
        retry_failed=retry_failed,
        max_images=max_images,
        concurrency=conf.cpus,
        dry_run=dry_run,
    )
    with work_on_library(database) as work:
        stages = ["scene", *(["face-tags"] if faces else [])]
        ran = [run_tags(each, work.library, conf, asked, options, work) for each in stages]
    done = Result(stages=ran)
    console.show(done, words.tags_run(done, label=work.session.label), asked_for=dry_run)
    report_unembedded(ran[0])
    console.finish(failed=sum(console.unreadable(each.failures, strict=False) for each in ran))
