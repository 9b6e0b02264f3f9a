"""`facesets train`."""

from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console, queueing
from facesets.cli.opening import opened_library
from facesets.cli.params import DatabaseOption
from facesets.cli.thresholds import typed_flags
from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option, declared
from facesets.operations.options.training import TrainOptions
from facesets.plurals import counted, people

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from facesets.interfaces import Progress
    from facesets.operations.people.training.head_comparison import HeadComparison
    from facesets.operations.people.training.training import TrainSummary
    from facesets.store.postgres.connection import Database
    from facesets.training.checkpoints import Epoch


def train(
    context: typer.Context,
    database: DatabaseOption = None,
    activate: Annotated[
        str | None, Option("Train nothing: use this head from now on.", metavar="HEAD")
    ] = None,
    deactivate: Annotated[
        bool, Option("Train nothing: compare faces as the recogniser made them from now on.")
    ] = False,
    listed: Annotated[
        bool, Option("Train nothing: list the heads.", flag="--list", variable="FACESETS_TRAIN_LIST")
    ] = False,
    *,
    options: TrainOptions,
) -> None:
    """Learn from named people how to tell people apart, and use that if it helps with people unseen.

    The recogniser and its vectors stay as they are: what is learnt is a projection of them (a head).
    """
    from facesets import settings

    if sum((activate is not None, deactivate, listed)) > 1:
        raise WrongUsage("Give one of --activate, --deactivate and --list at a time.")
    idle = sorted(typed_flags(context) & {each.name for each in declared(TrainOptions)})
    if idle and (activate is not None or deactivate or listed):
        flag = f"--{idle[0].replace('_', '-')}"
        raise WrongUsage(f"{flag} is for training, and --activate, --deactivate and --list train nothing.")
    if activate is not None or deactivate or listed:
        queueing.refuse("That is done in a moment.")
    if queueing.is_asked():
        queueing.queue_train(database, options)
        return
    conf = settings.load()
    with opened_library(database) as session:
        if listed:
            _list(session)
        elif deactivate:
            _deactivate(session)
        elif activate is not None:
            _activate(session, activate)
        else:
            _train(session, conf.state_dir / "models", options)


def _list(session: "Database") -> None:
    from facesets.operations.people.training.heads import heads

    found = heads(session)
    rows = [
        (
            each.name,
            "in use" if each.active else "",
            each.people,
            each.faces,
            f"{each.gain:+.4f}",
            f"{each.spread:.4f}",
            each.made_at[:10],
        )
        for each in found
    ]
    headings = ("head", "", "people", "faces", "gain", "spread", "made")
    text = console.table(headings, rows) if found else "There is no head yet. `facesets train` makes some."
    console.show_list("heads", found, text)


def _activate(session: "Database", name: str) -> None:
    from facesets.operations.people.training.heads import activate

    line = activate(session, name)
    console.show(line, [f"{printable(line.name)} is in use from now on."])
    if line.gain <= line.spread:
        console.notice(
            f"With people that it has not seen its score differed from that of plain vectors by "
            f"{line.gain:+.4f}, and the folds differ by {line.spread:.4f}."
        )


def _deactivate(session: "Database") -> None:
    from facesets.operations.people.training.heads import deactivate

    done = deactivate(session)
    used = ", ".join(map(printable, done.heads))
    console.show(done, [f"{used} is in use no longer." if used else "No head was in use."])


def _train(session: "Database", directory: "Path", options: TrainOptions) -> None:
    from facesets.operations.people.training.training import train_heads
    from facesets.store.postgres.library import Library

    with console.stoppable() as stop, console.progress() as progress:
        summary = train_heads(
            Library(session), options, directory, progress=progress, on_epoch=_telling(progress), stop=stop
        )
    console.show(summary, trained_lines(summary))
    console.finish()


def _telling(progress: "Progress") -> "Callable[[Epoch], None]":
    def tell(epoch: "Epoch") -> None:
        if not console.session.terse:
            progress.say(
                f"epoch {epoch.number}: loss {epoch.loss:.5f}, validation loss {epoch.validation_loss:.5f}, "
                f"{counted(epoch.triplets, 'triplet')}"
            )

    return tell


def trained_lines(summary: "TrainSummary") -> list[str]:
    """What `train` did, in words."""
    known = f"{counted(summary.faces, 'face')} of {people(summary.people)}"
    if summary.dry_run:
        return [f"{known} would be learnt from."]
    if summary.stopped:
        return [f"{known}: stopped. The same command goes on where it was."]
    return [
        (
            f"{known}: {summary.training_faces} learnt from, {summary.validation_faces} and "
            f"{people(summary.held_out_people)} held out."
        ),
        "",
        _table("people not seen, mean of five folds", summary.comparison, on_people=True),
        "",
        _table("other faces of people learnt from", summary.comparison, on_people=False),
        "",
        summary.verdict,
    ]


def _table(title: str, comparison: "list[HeadComparison]", *, on_people: bool) -> str:
    headings = (
        title,
        "accuracy",
        "TAR at FAR 0.001",
        "clustering F1",
        "assigned right",
        "found",
        "score",
        *(("gain", "spread") if on_people else ()),
    )
    rows = []
    for line in comparison:
        figures = line.on_people if on_people else line.on_faces
        row = [
            line.kind,
            *(
                f"{value:.4f}"
                for value in (
                    figures.accuracy,
                    figures.true_accepts,
                    figures.clustering_f1,
                    figures.precision,
                    figures.recall,
                    figures.score,
                )
            ),
        ]
        if on_people:
            row += ["", ""] if line.kind == "plain" else [f"{line.gain:+.4f}", f"{line.spread:.4f}"]
        rows.append(row)
    return console.table(headings, rows)
