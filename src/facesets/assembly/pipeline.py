"""`pipeline`, put together: the commands of the table that it takes one after the other, and with what."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass, replace
from functools import partial
from typing import Any

from facesets.assembly.commands import VERBS, LibraryWork
from facesets.errors import Field, WrongUsage
from facesets.operations.library.pipeline import pipeline
from facesets.operations.options.pipeline import AFTER_TRAINING, PipelineOptions
from facesets.result import Result
from facesets.sources.galleries import GallerySource

Given = Mapping[str, Any]
"""What a command of the table is given, by name."""


def run_pipeline(
    work: LibraryWork,
    options: PipelineOptions,
    given: Mapping[str, Given],
    *,
    on_step: Callable[[Result], None] = lambda _: None,
) -> Result:
    """Take all steps on a library; see `pipeline`.

    Parameters
    ----------
    given : mapping
        What each command that may be a step is given.

    Raises
    ------
    MissingExtra
        An optional part of the program is missing that a step needs; nothing was done.
    WrongUsage
        Without faces there is nothing to group.
    As `pipeline`.
    """
    if given["index"]["asked"].skip_faces:
        raise WrongUsage(f"Without faces there are no people. Leave out {Field('skip_faces')}.")
    index = {**given["index"], "options": replace(given["index"]["options"], dry_run=options.dry_run)}
    return pipeline(
        work.session,
        partial(VERBS["index"].run, work, **index),
        people_steps(work, options, given),
        _told(options, given),
        dry_run=options.dry_run,
        on_step=on_step,
        stop=work.stop,
    )


def people_steps(
    work: LibraryWork, options: PipelineOptions, given: Mapping[str, Given]
) -> dict[str, Callable[[], Result]]:
    """The steps that give faces to people. Raises `MissingExtra`."""
    steps = {name: (VERBS[verb], dict(values)) for name, verb, values in _chosen(options, given)}
    for verb, values in steps.values():
        if "options" in values:
            values["options"] = replace(values["options"], dry_run=options.dry_run)
        verb.needs(**values).require()
    return {name: partial(verb.run, work, **values) for name, (verb, values) in steps.items()}


def _chosen(options: PipelineOptions, given: Mapping[str, Given]) -> list[tuple[str, str, Given]]:
    """What users call each step, the command that it is, and what that is given."""
    dual = given["cluster --dual"]
    if options.full:
        again = {**dual, "dual": replace(dual["dual"], person_threshold=AFTER_TRAINING)}
        return [
            ("dual", "cluster --dual", dual),
            ("train", "train", given["train"]),
            ("dual again", "cluster --dual", again),
        ]
    if options.dual:
        return [("dual", "cluster --dual", dual)]
    steps = [("cluster", "cluster", given["cluster"]), ("assign", "assign", given["assign"])]
    # Centroids follow from the faces that people have: nothing is decided there that could be said before.
    return steps if options.dry_run else [*steps, ("centroids", "people centroids", {})]


def _told(options: PipelineOptions, given: Mapping[str, Given]) -> dict[str, Any]:
    """What was asked for, as the library keeps it with the run: only a run with the same goes on."""
    index = given["index"]
    source = GallerySource(index["folders"], include=index["include"], exclude=index["exclude"])
    asked = index["asked"]
    service = _shown(asked.ml_uri) if asked.ml_uri else None
    models = (*asked.detection, asked.clip_pack, service, index["body_model"])
    return {
        "targets": source.roots,
        **source.patterns,
        **asdict(options),
        "models": [_plain(each) for each in models],
        "steps": {
            f"{command} {name}": {field: _plain(value) for field, value in asdict(values).items()}
            for command, those in given.items()
            for name, values in those.items()
            if name != "asked" and is_dataclass(values) and not isinstance(values, type)
        },
    }


def _shown(ml_uri: str) -> str:
    """The address of a service without what nobody else may read."""
    from facesets.remote.access import plain_url

    return plain_url(ml_uri, what="machine-learning service", example="http://HOST:3003")[1]


def _plain(value: object) -> object:
    """A value as JSON has it."""
    return value if value is None or isinstance(value, bool | int | float) else str(value)
