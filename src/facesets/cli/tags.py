"""`facesets tags list | set | run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import opened_library, work_on_library
from facesets.cli.params import ClipPackOption, DatabaseOption, MlUriOption, ProviderOption
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun
from facesets.plurals import counted
from facesets.result import Result
from facesets.words import photos as words

if TYPE_CHECKING:
    from facesets.operations.library.tags import ListedCategory

tags = typer.Typer(
    help="What photos and faces show, in words: categories of tags, and tagging by CLIP.",
    no_args_is_help=True,
)


@tags.command("list")
def list_(
    database: DatabaseOption = None,
    toml: Annotated[bool, Option("Print the categories as a file for `tags set` instead.")] = False,
) -> None:
    """List the categories and their tags, and how many photos or faces have each."""
    from facesets.operations.library.tag_file import as_toml
    from facesets.operations.library.tags import categories_of, list_tags
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        library = Library(session)
        if toml:
            console.out(as_toml(categories_of(library)).rstrip("\n"))
            return
        found = list_tags(library)
    lines = [line for each in found.categories for line in _category_lines(each)]
    console.show(found, lines, asked_for=True)
    if found.is_shipped:
        console.aside("Nothing is tagged yet: `facesets tags run` tags the photos that are embedded.")


def _category_lines(category: "ListedCategory") -> list[str]:
    about = "faces" if category.target == "face" else "photos"
    how = "the best one" if category.mode == "single" else "all"
    found = ", ".join(f"{printable(name)} {count}" for name, count in category.tags.items())
    return [f"{category.name} ({about}; {how} from {category.min_confidence:g})", f"  {found}"]


@tags.command("set")
def set_(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", show_default=False)],
    database: DatabaseOption = None,
    only: Annotated[bool, Option("Remove the categories that FILE does not have, and their tags.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Add the categories of FILE, in place of those of the same names; `tags run` then tags by them."""
    from facesets.operations.library.tags import set_tags
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        done = set_tags(Library(session), file, only=only, dry_run=dry_run)
    console.show(done, words.tags_set(done), asked_for=dry_run)
    if (done.added or done.changed) and not dry_run:
        console.remark("`facesets tags run` tags the photos by them, with --faces the faces, too.")


@tags.command("run")
def run(
    database: DatabaseOption = None,
    faces: Annotated[
        bool, Option("Tag faces, too: reads each photo with faces once, and embeds a crop for each of them.")
    ] = False,
    force: Annotated[bool, Option("All photos again, though nothing changed.")] = False,
    retry_failed: Annotated[bool, Option("Those photos, too, whose faces could not be tagged.")] = False,
    max_images: Annotated[int | None, Option("Tag so many photos at most.", least=1)] = None,
    clip_pack: ClipPackOption = None,
    ml_uri: MlUriOption = None,
    provider: ProviderOption = "auto",
    dry_run: DryRun = False,
) -> None:
    """Tag the photos of the library, those that lack tags or whose categories changed.

    It uses the embeddings that `index` keeps, so that no photo is read.
    """
    from facesets import settings
    from facesets.assembly.describing import Asked
    from facesets.assembly.tags import run_tags
    from facesets.operations.ingest.stage_run import StageRunOptions

    console.only_the_result_unless_watched()
    conf = settings.load()
    asked = Asked((None, None, None), clip_pack, provider, ml_uri)
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
    if ran[0].unavailable:
        console.notice(
            f"{counted(ran[0].unavailable, 'photo')} cannot be tagged without an embedding by this model: "
            "`facesets index PHOTOS` makes them."
        )
    console.finish(failed=sum(console.unreadable(each.failures, strict=False) for each in ran))
