"""`facesets models list | path | pull | verify`."""

from typing import Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DebugOption, DryRunOption, JsonOption

models = typer.Typer(
    help="Model packs: what is here, where it lies, fetching and verifying.", no_args_is_help=True
)

_Name = Annotated[str, typer.Argument(metavar="[NAME]", help="A pack's name or path.")]


@models.command("list")
def list_(json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the model packs on this machine."""
    from facesets import settings
    from facesets.operations.models import list_packs

    roots = settings.load().model_roots
    packs = list_packs(roots)
    rows = [(p.name, f"{p.megabytes:.0f} MB", p.problem or ", ".join(p.tasks), p.path) for p in packs]
    nothing = (
        f"No model packs below {', '.join(str(r) for r in roots)}. Run `facesets models pull buffalo_l`."
    )
    console.show_list(
        "packs", packs, console.table(("pack", "size", "models", "path"), rows) if packs else nothing
    )


@models.command()
def path(name: _Name = "buffalo_l", json: JsonOption = False, debug: DebugOption = False) -> None:
    """Print where a pack lies."""
    from facesets import settings
    from facesets.operations.models import find

    pack = find(name, settings.load().model_roots)
    console.show(pack, [pack.path], asked_for=True)


@models.command()
def pull(
    name: _Name = "buffalo_l",
    force: Annotated[bool, typer.Option("--force", help="Fetch it though it is here.")] = False,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Fetch a published pack, verify it, and unpack it: buffalo_l for faces, ViT-B-32__openai for CLIP."""
    from facesets import settings
    from facesets.operations.models import pull as run
    from facesets.operations.models import would_pull

    if dry_run:
        plan = would_pull(name, settings.load().model_roots, force=force)
        there = f"{plan.path} is there already." if not plan.url else f"{plan.url} into {plan.path}"
        console.show(plan, [there])
        return

    with console.stoppable() as stop, console.progress() as progress:
        pack = run(name, settings.load().model_roots, force=force, progress=progress, stop=stop)
    console.show(pack, [f"{pack.name}: {pack.path}"])


@models.command()
def verify(name: _Name = "buffalo_l", json: JsonOption = False, debug: DebugOption = False) -> None:
    """Compare each file of a pack with what was published."""
    from facesets import settings
    from facesets.operations.models import verify as run

    checks = run(name, settings.load().model_roots)
    rows = [(check.file, check.task, check.verdict, check.sha256) for check in checks]
    console.show_list("files", checks, console.table(("file", "task", "published?", "sha256"), rows))
    if any(check.verdict == "differs" for check in checks):
        raise typer.Exit(1)
