"""An option of several names has all of them on the command line, in the environment and in facesets.toml."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperArgument, TyperOption
from typer.main import get_command

from facesets.cli.app import app
from facesets.cli.flags import variable
from facesets.cli.settings_file import by_parameter
from facesets.cli.spellings import synonyms_of
from facesets.settings import load
from tests.fixtures.parsing import commands
from tests.fixtures.program import REPOSITORY, run

OPTIONS = [
    (path, param, synonyms_of(command).get(param.name, []))
    for path, command in commands(hidden=True).items()
    for param in command.params
    if isinstance(param, TyperOption)
]
SEVERAL = [
    (path, param, name)
    for path, param, synonyms in OPTIONS
    for names in [[name for name in (*param.opts, *synonyms) if name.startswith("--")]]
    if len(names) > 1
    for name in names
]
HIDDEN = [(path, synonym) for path, _, synonyms in OPTIONS for synonym in synonyms]
HIDDEN += [(path, param.opts[0]) for path, param, _ in OPTIONS if param.hidden]
SHOWN_BESIDE_ANOTHER = {
    *("index --workers", "worker --workers", "worker --only", "maintain --max-cosine-distance"),
    *("assign --since", "assign --taken-since", "describe --target"),
    *("search --taken-after", "search --taken-before"),
}
"""Of two names that help shows the second: one is what users of earlier programs type."""

REFERENCE = (REPOSITORY / "docs" / "cli.md").read_text("utf-8")
MANUAL = (REPOSITORY / "docs" / "facesets.1").read_text("utf-8").replace("\\-", "-")

each_name = pytest.mark.parametrize(("path", "param", "name"), SEVERAL, ids=str)


def _value(param: TyperOption) -> str:
    return "2024-05-01" if param.metavar == "DATE" else "1"


def _given(path: str, param: TyperOption, words: list[str], file: Mapping[str, Any] | None = None) -> Any:
    """What an option of a command is when these words are typed, with what else the command needs."""
    command = commands(hidden=True)[path]
    for each in command.params:
        if each.required and each.name != param.name:
            words = [*words, "1"] if isinstance(each, TyperArgument) else [*words, each.opts[0], "1"]
    prefix = variable(path, "").rstrip("_")
    context = command.make_context(path, words, auto_envvar_prefix=prefix, default_map=(file or {}).get(path))
    return context.params[param.name]


def _on_the_command_line(path: str, param: TyperOption, name: str) -> Any:
    return _given(path, param, [name] if param.is_flag else [name, _value(param)])


@each_name
def test_all_names_of_an_option_have_the_same_effect(
    path: str, param: TyperOption, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    meant = _on_the_command_line(path, param, param.opts[0])
    assert meant not in (None, False, 0)
    assert _on_the_command_line(path, param, name) == meant
    with monkeypatch.context() as environment:
        environment.setenv(variable(path, name), _value(param))
        assert _given(path, param, []) == meant
    if " " in path:
        return  # a table of the file is a command's, not that of a group
    file = tmp_path / "facesets.toml"
    value = "true" if param.is_flag else _value(param) if isinstance(meant, int) else f'"{_value(param)}"'
    file.write_text(f"[{path}]\n{name[2:]} = {value}\n")
    read = by_parameter(get_command(app), load({"FACESETS_CONFIG": str(file)}))
    assert _given(path, param, [], read) == meant


def test_an_option_with_another_name_in_code_has_its_own_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path, param, _ in OPTIONS:
        if param.is_flag and param.allow_from_autoenv and param.default is False:
            with monkeypatch.context() as environment:
                environment.setenv(variable(path, param.opts[0]), "1")
                assert _given(path, param, []) is True, (path, param.opts)
    # What it was called before.
    monkeypatch.setenv("FACESETS_IMMICH_PUSH_HIDDEN", "1")
    assert _given(
        "immich-push", next(p for c, p, _ in OPTIONS if (c, p.name) == ("immich-push", "hidden")), []
    )


def test_a_command_of_a_group_has_the_groups_name_in_the_environment() -> None:
    for name in ("LIMIT", "FACES"):
        refused = run("people", "show", "Anna", env={f"FACESETS_PEOPLE_SHOW_{name}": "few"})
        assert (refused.status, "Invalid value for '--limit'" in refused.err) == (2, True)


@pytest.mark.parametrize("place", ["command line", "environment", "file"])
def test_two_names_with_two_values_are_refused(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ["immich-push", "staged"]
    if place == "command line":
        words += ["--workers", "2", "--concurrency", "3"]
        sentence = (
            "more than once with different values (--workers and --concurrency mean the same). Give it once."
        )
    elif place == "environment":
        monkeypatch.setenv("FACESETS_IMMICH_PUSH_WORKERS", "2")
        monkeypatch.setenv("FACESETS_IMMICH_PUSH_CONCURRENCY", "3")
        sentence = "FACESETS_IMMICH_PUSH_WORKERS and FACESETS_IMMICH_PUSH_CONCURRENCY mean the same"
        param = next(each for each in commands()["immich-push"].params if "--workers" in each.opts)
        assert isinstance(param, TyperOption)
        assert _given("immich-push", param, ["--workers", "4"]) == 4
    else:
        (tmp_path / "facesets.toml").write_text("[immich-push]\nworkers = 2\nconcurrency = 3\n")
        sentence = "`workers` and `concurrency` under [immich-push] in "
    refused = run(*words, cwd=tmp_path)
    assert refused.status == 2
    assert sentence in " ".join(refused.err.split())


def test_help_and_pages_show_one_name_for_each_meaning() -> None:
    beside = {f"{path} {name}" for path, param, name in SEVERAL if name in param.opts[1:]}
    assert beside == SHOWN_BESIDE_ANOTHER
    pages = [*REFERENCE.split("### facesets ")[1:], *MANUAL.split('.SS "facesets ')[1:]]
    assert len(HIDDEN) > 10
    for path, name in HIDDEN:
        sections = [part for part in pages if re.match(rf"{path}[\n ]", part)]
        assert len(sections) == (2 if path in commands() else 0), path
        for text in (run(*path.split(), "-h").out, *sections):
            assert not re.search(rf"(?<![\w-]){name}(?![\w-])", text), (path, name)


def test_commands_of_another_name_work_and_are_not_listed() -> None:
    for path, same in (
        ("people label", "people name"),
        ("people centroids", "maintain"),
        ("tags run", "index"),
    ):
        group, name = path.split()
        assert f"  {name} " not in run(group, "-h").out
        assert f"Usage: facesets {path}" in run(*path.split(), "-h").out
        assert f"### facesets {path}" not in REFERENCE
        assert f"| `facesets {path}" in REFERENCE
        assert same in commands()
