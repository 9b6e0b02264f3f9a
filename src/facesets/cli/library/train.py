"""`facesets train`."""

from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console, queueing
from facesets.cli.flags import typed_flags
from facesets.cli.opening import opened_session, work_on_library
from facesets.cli.params import DatabaseOption
from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option, declared
from facesets.operations.options.upkeep import TrainOptions
from facesets.plurals import counted
from facesets.words import people as words
from facesets.words.phrases import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from facesets.interfaces import Progress
    from facesets.store.postgres.connection import Database
    from facesets.training.checkpoints import Epoch


def train(
    context: typer.Context,
    database: DatabaseOption = None,
    activate: Annotated[
        str | None, Option("Use this head from now on; do not train.", metavar="HEAD")
    ] = None,
    deactivate: Annotated[bool, Option("Use no head from now on; do not train.")] = False,
    listed: Annotated[bool, Option("List the heads; do not train.", flag="--list")] = False,
    *,
    options: TrainOptions,
) -> None:
    """Learn from named people to tell people apart.

    What was learned is used only if it improves results for other people. The recognition model and its
    embeddings stay as they are: the result is a projection of them (a head).
    """
    if sum((activate is not None, deactivate, listed)) > 1:
        raise WrongUsage("Give one of --activate, --deactivate and --list at a time.")
    idle = sorted(typed_flags(context) & {each.name for each in declared(TrainOptions)})
    if idle and (activate is not None or deactivate or listed):
        raise WrongUsage(
            f"{Field(idle[0]).flag} is for training and cannot be combined with --activate, "
            "--deactivate and --list."
        )
    if activate is not None or deactivate or listed:
        queueing.refuse("This takes only a moment.")
    if queueing.is_asked():
        queueing.queue("train", database, options=options)
        return
    if not (listed or deactivate or activate is not None):
        _train(database, options)
        return
    with opened_session(database) as session:
        if listed:
            _list(session)
        elif deactivate:
            _deactivate(session)
        elif activate is not None:
            _activate(session, activate)


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
    text = table(headings, rows) if found else "There is no head yet. Train one with `facesets train`."
    console.show_list("heads", found, text)


def _activate(session: "Database", name: str) -> None:
    from facesets.operations.people.training.heads import activate

    line = activate(session, name)
    console.show(line, [f"{printable(line.name)} is now in use."])
    if line.gain <= line.spread:
        console.notice(
            f"On held-out people its score differs from that of plain embeddings by {line.gain:+.4f}; "
            f"the folds differ by {line.spread:.4f}."
        )


def _deactivate(session: "Database") -> None:
    from facesets.operations.people.training.heads import deactivate

    done = deactivate(session)
    used = ", ".join(map(printable, done.heads))
    console.show(done, [f"{used} is no longer in use." if used else "No head was in use."])


def _train(database: str | None, options: TrainOptions) -> None:
    from facesets.assembly.commands import VERBS

    with work_on_library(database) as work:
        summary = VERBS["train"].run(work, options=options, on_epoch=_epoch_printer(work.progress))
    console.show(summary, words.train(summary))
    console.finish()


def _epoch_printer(progress: "Progress") -> "Callable[[Epoch], None]":
    def print_epoch(epoch: "Epoch") -> None:
        if not console.session.terse:
            progress.say(
                f"epoch {epoch.number}: loss {epoch.loss:.5f}, validation loss {epoch.validation_loss:.5f}, "
                f"{counted(epoch.triplets, 'triplet')}"
            )

    return print_epoch
