"""`facesets models list | show | path | pull | verify`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import working
from facesets.cli.wording import worded
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun
from facesets.words.phrases import table

if TYPE_CHECKING:
    from facesets.inference.model_files import Triple
    from facesets.operations.models.packs import FileDetails
    from facesets.settings import Settings

models = typer.Typer(
    help="Model packs: what is here, where it is, fetching and verifying.", no_args_is_help=True
)

_Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A pack's name or path. [default: the one that is used where none is named]",
        show_default=False,
    ),
]


def _published(incomplete: str) -> list[str]:
    """Packs and models that can be fetched, for the shell to complete."""
    from facesets.inference.catalog import CONVERTED, PUBLISHED, PUBLISHED_BODY, PUBLISHED_CLIP

    known = (*PUBLISHED, *CONVERTED, *PUBLISHED_CLIP, *PUBLISHED_BODY)
    return [name for name in known if name.startswith(incomplete)]


_PublishedName = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A pack's name. [default: `pack` of facesets.toml, else buffalo_l]",
        show_default=False,
        autocompletion=_published,
    ),
]


def _named(name: str | None, conf: "Settings") -> str:
    from facesets.inference.packs import usual_pack

    return name or usual_pack(conf.pack, conf.model_roots)


@models.command("list")
def list_() -> None:
    """List the model packs and body models on this machine."""
    from facesets import settings
    from facesets.inference.catalog import DEFAULT_BODY, PUBLISHED_BODY
    from facesets.operations.models.packs import list_packs

    roots = settings.load().model_roots
    packs = [replace(pack, problem=worded(pack.problem)) for pack in list_packs(roots)]
    rows = [(p.name, f"{p.megabytes:.0f} MB", p.problem or ", ".join(p.tasks), p.path) for p in packs]
    nothing = (
        f"No model packs below {', '.join(str(r) for r in roots)}. Run `facesets models pull buffalo_l`."
    )
    text = table(("pack", "size", "models", "path"), rows)
    notes = [f"\n{p.name}: {p.note}" for p in packs if p.note]
    if not any("bodies" in pack.tasks for pack in packs):
        model = PUBLISHED_BODY[DEFAULT_BODY]
        notes.append(
            f"\nNo body model is here: `facesets models pull {model.name}` fetches one. {model.licence}"
        )
    console.show_list("packs", packs, "\n".join([text if packs else nothing, *notes]))


@models.command()
def show(name: _Name = None) -> None:
    """Show what a pack of faces holds: its files, how they are fed, licences and sources."""
    from facesets import settings
    from facesets.operations.models.packs import describe_pack

    conf = settings.load()
    pack = describe_pack(_named(name, conf), conf.model_roots)
    lines = [f"{pack.name}: {printable(pack.path)}", *([pack.note] if pack.note else [])]
    for file in pack.files:
        size = f", {file.input_size} pixels" if file.input_size else ""
        decoder = f" as {file.decoder}" if file.decoder else ""
        lines += ["", f"{file.task}: {printable(file.file)}{decoder}{size}, {file.channels}"]
        lines.append(f"  (pixel - {_levels(file.mean)}) / {_levels(file.std)}")
        if file.keypoints:
            lines.append(f"  keypoints at {', '.join(f'({x:g}, {y:g})' for x, y in file.keypoints)}")
        lines += [f"  {what}: {printable(text)}" for what, text in _origin(file) if text]
    console.show(pack, lines)


def _levels(values: "float | Triple") -> str:
    return f"{values:g}" if isinstance(values, float) else str(values)


def _origin(file: "FileDetails") -> list[tuple[str, str]]:
    return [
        ("licence", file.licence),
        ("source", file.source),
        ("sha256 of the file", file.sha256),
        ("identity in caches", file.identity),
    ]


@models.command()
def path(name: _Name = None) -> None:
    """Print where a pack lies."""
    from facesets import settings
    from facesets.operations.models.packs import find

    conf = settings.load()
    pack = find(_named(name, conf), conf.model_roots)
    console.show(pack, [pack.path], asked_for=True)


@models.command()
def pull(
    name: _PublishedName = None,
    force: Annotated[bool, Option("Fetch it though it is here.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Fetch a published pack and verify it.

    buffalo_l or open for faces, ViT-B-32__openai for CLIP, yolox_s for bodies.
    """
    from facesets import settings
    from facesets.inference.packs import DEFAULT_PACK
    from facesets.operations.models.pull import pull as run
    from facesets.operations.models.pull import would_pull

    conf = settings.load()
    name = name or conf.pack or DEFAULT_PACK
    if dry_run:
        plan = would_pull(name, conf.model_roots, force=force)
        there = f"{plan.path} is there already." if not plan.url else f"{plan.url} into {plan.path}"
        console.show(plan, [there, *filter(None, (plan.digests, plan.licence))])
        return

    with working() as work:
        pack = run(name, conf.model_roots, force=force, work=work)
    console.show(pack, [f"{pack.name}: {pack.path}"])
    if pack.note:
        console.notice(pack.note)


@models.command()
def verify(name: _Name = None) -> None:
    """Compare each file of a pack with what was published."""
    from facesets import settings
    from facesets.operations.models.packs import verify as run

    conf = settings.load()
    checks = run(_named(name, conf), conf.model_roots)
    rows = [(check.file, check.task, check.verdict, check.sha256) for check in checks]
    console.show_list("files", checks, table(("file", "task", "published?", "sha256"), rows))
    if any(check.verdict == "differs" for check in checks):
        raise typer.Exit(1)
