"""`pipeline`: the commands it runs in order, and their options."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from facesets.assembly.commands import VERBS
from facesets.assembly.stores import LibraryWork
from facesets.errors import Field, WrongUsage
from facesets.operations.library.pipeline import pipeline
from facesets.operations.options.upkeep import AFTER_TRAINING, PipelineOptions
from facesets.result import Result

Given = Mapping[str, Any]
"""The arguments of a command, by name."""


def run_pipeline(
    work: LibraryWork,
    options: PipelineOptions,
    given: Mapping[str, Given],
    *,
    on_step: Callable[[Result], None] = lambda _: None,
) -> Result:
    """Run all steps on a library; see `pipeline`.

    Parameters
    ----------
    given : mapping
        Arguments of each command that may be a step.

    Raises
    ------
    MissingExtra
        An optional dependency of a step is missing; nothing was done.
    WrongUsage
        There are no faces to group.
    As `pipeline`.
    """
    if given["index"]["asked"].skip_faces:
        raise WrongUsage(f"The pipeline needs faces. Remove {Field('skip_faces')}.")
    index = {**given["index"], "options": replace(given["index"]["options"], dry_run=options.dry_run)}
    return pipeline(
        work.session,
        partial(VERBS["index"].run, work, **index),
        people_steps(work, options, given),
        _recorded(options, given),
        dry_run=options.dry_run,
        on_step=on_step,
        stop=work.stop,
    )


def people_steps(
    work: LibraryWork, options: PipelineOptions, given: Mapping[str, Given]
) -> dict[str, Callable[[], Result]]:
    """Return the steps that assign faces to people. Raises `MissingExtra`."""
    steps: dict[str, Callable[[], Result]] = {}
    for name, chosen in _chosen(options, given).items():
        verb, values = VERBS[COMMAND_OF.get(name, name)], dict(chosen)
        if "options" in values:
            values["options"] = replace(values["options"], dry_run=options.dry_run)
        if name != "train" or not options.dry_run:
            verb.needs(**values).require()
        steps[name] = partial(verb.run, work, **values)
    return steps


COMMAND_OF = {"centroids": "people centroids", "dual": "cluster --dual", "dual again": "cluster --dual"}
"""The commands of steps with different names."""


def _chosen(options: PipelineOptions, given: Mapping[str, Given]) -> dict[str, Given]:
    """Return the options of each step, by its name for users."""
    dual = given["cluster --dual"]
    if options.full:
        again = {**dual, "dual": replace(dual["dual"], person_threshold=AFTER_TRAINING)}
        return {"dual": dual, "train": given["train"], "dual again": again}
    if options.dual:
        return {"dual": dual}
    steps = {name: given[name] for name in ("cluster", "assign")}
    # Centroids are derived from people's faces: there is no decision to preview.
    return steps if options.dry_run else {**steps, "centroids": {}}


def _recorded(options: PipelineOptions, given: Mapping[str, Given]) -> dict[str, Any]:
    """Return the options that the library records; only a run with equal options resumes."""
    source, asked = given["index"]["source"], given["index"]["asked"]
    service = _shown(asked.ml_uri) if asked.ml_uri else None
    models = (*asked.detection, asked.clip_pack, service, given["index"]["body_model"])
    steps = {name: given[name]["options"] for name in ("index", "cluster", "assign", "train")}
    steps["dual"] = given["cluster --dual"]["dual"]
    return {
        "targets": source.roots,
        **source.patterns,
        **asdict(options),
        "models": [each if each is None else str(each) for each in models],
        "steps": {
            name: {field: _plain(value) for field, value in asdict(steps[name]).items()}
            for name in ("index", "cluster", "dual", "assign", "train")
        },
    }


def _shown(ml_uri: str) -> str:
    """Return the address of a service without secrets."""
    from facesets.remote.access import plain_url

    return plain_url(ml_uri, what="machine-learning service", example="http://HOST:3003")[1]


def _plain(value: object) -> object:
    """Return a value for JSON."""
    return value if value is None or isinstance(value, bool | int | float) else str(value)
