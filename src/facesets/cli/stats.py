"""`facesets stats`."""

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.plurals import counted


def stats(database: DatabaseOption = None) -> None:
    """Show how much is in the library: images, faces, people."""
    from facesets import settings
    from facesets.assembly.stores import open_database
    from facesets.operations.library.stats import stats as run
    from facesets.store.postgres.library import Library

    with open_database(database, settings.load(), console) as session:
        totals = run(Library(session))
    people = sum(count for status, count in totals.persons.items() if status != "merged")
    undecided = f"{counted(totals.candidates, 'face')} without a decision"
    rows = [
        ("images", totals.images),
        (
            "paths",
            f"{totals.paths} ({counted(totals.aliases, 'copy', 'copies')}, {totals.unreadable} unreadable)",
        ),
        ("galleries", totals.galleries),
        ("faces", f"{totals.faces} ({totals.assigned} with a person, {totals.unassigned} without)"),
        ("clustered", totals.clustered),
        ("people", f"{people} ({totals.named} with a name)"),
        *((f"  {status}", count) for status, count in totals.persons.items()),
        ("prototypes", totals.prototypes),
        ("for review", f"{counted(totals.questions, 'question')}, {undecided}"),
        ("database", f"{totals.megabytes} MB"),
        *((f"last {command}", when) for command, when in totals.last_runs.items()),
        *(
            (
                f"{model.pack}, {model.det_size}, {model.min_det_score:g}",
                f"{counted(model.images, 'image')}, {counted(model.faces, 'face')}",
            )
            for model in totals.models
        ),
        *((model.model, f"{counted(model.images, 'image')} embedded") for model in totals.clip),
    ]
    console.show(totals, [f"{name:<14} {value}" for name, value in rows], asked_for=True)
