"""An option is declared once: its flag, setting, range and default follow the declaration."""

import dataclasses
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from facesets.cli.flags import Only, options_of, unless_given, with_flags
from facesets.errors import WrongUsage
from facesets.operations.options import immich, index, library, people, results, start, upkeep
from facesets.operations.options.declaration import Checked, Declared, Option, declared
from facesets.operations.options.immich import StageOptions
from facesets.operations.options.index import IN_EVERY_RUN
from facesets.operations.options.library import SearchOptions
from tests.fixtures.parsing import commands, parse
from tests.fixtures.program import run

KINDS: list[Any] = [
    kind
    for module in (immich, index, library, people, results, start, upkeep)
    for kind in vars(module).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
]
RANGED = [(kind, each) for kind in KINDS for each in declared(kind) if each.option.least is not None]


def test_every_declared_option_is_a_flag_of_a_command() -> None:
    flags = {(param.name, param.help) for command in commands().values() for param in command.params}
    for kind in KINDS:
        for each in declared(kind):
            texts = [text for name, text in flags if name == each.name and text]
            assert any(text.startswith(each.option.help) for text in texts), (kind, each.name)


@pytest.mark.parametrize(("kind", "each"), RANGED, ids=lambda value: getattr(value, "name", None))
def test_a_number_out_of_its_range_is_refused_by_the_name_of_its_flag(kind: Any, each: Declared) -> None:
    least, most = each.option.least, each.option.most
    assert least is not None
    for value in (least - 1, float("nan"), *([] if most is None else [most + 1])):
        with pytest.raises(WrongUsage, match=f"^{each.flag} must be "):
            kind(**{each.field: value})
    kind(**{each.field: least})


@pytest.mark.parametrize("by", ["flag", "environment", "file"])
def test_a_range_holds_wherever_a_number_comes_from(tmp_path: Path, by: str) -> None:
    if by == "file":
        (tmp_path / "facesets.toml").write_text("[refine]\nmin-faces = 0\n")
    done = run(
        *("refine", "faces.npz", "out", *(("--min-faces", "0") if by == "flag" else ())),
        cwd=tmp_path,
        env={"FACESETS_REFINE_MIN_FACES": "0"} if by == "environment" else {},
    )
    assert done.status == 2
    assert "--min-faces must be 1 or more, not 0." in done.err


@dataclasses.dataclass(frozen=True, slots=True)
class Wish(Checked):
    """Options of a command that is made up."""

    size: Annotated[int, Option("Its size.", least=1, most=9)] = 5
    names: Annotated[tuple[str, ...], Option("Its names.", name="name")] = ()
    deep: Annotated[bool, Option("Go deep.", flag="--deep/--flat")] = True
    inner: int = 3


def _made_of(*words: str, kind: Any = Wish, file: dict[str, Any] | None = None) -> tuple[Any, str]:
    """Return what a command with such options receives, and its help."""
    got: list[Any] = []

    def command(context: typer.Context, *, wish: kind) -> None:
        """Wish."""
        got.append(unless_given(context, wish, file or {}))

    app = typer.Typer(rich_markup_mode=None)
    app.command()(with_flags(command))
    runner = CliRunner(env={"WISH_SIZE": "6"} if "env" in words else {})
    done = runner.invoke(app, [word for word in words if word != "env"], auto_envvar_prefix="WISH")
    return (got[0] if got else None), " ".join(done.output.split())


def test_a_command_gets_its_options_made() -> None:
    assert _made_of()[0] == Wish()
    assert _made_of("--size", "2", "--name", "a", "--name", "b", "--flat")[0] == Wish(
        2, ("a", "b"), deep=False
    )
    assert _made_of("env")[0] == Wish(6)


def test_help_shows_range_and_default() -> None:
    _, text = _made_of("--help")
    assert "Its size. [1 to 9; default: 5]" in text
    assert "--inner" not in text


def test_a_file_setting_applies_only_without_flag_and_variable() -> None:
    file = {"size": 8, "inner": 4, "other": 1}
    assert _made_of(file=file)[0] == Wish(8)
    assert _made_of("--size", "5", file=file)[0] == Wish(5)
    assert _made_of("env", file=file)[0] == Wish(6)
    with pytest.raises(WrongUsage, match=r"^--size must be between 1 and 9, not 10"):
        dataclasses.replace(Wish(), size=10)


def test_a_command_may_take_some_of_the_options() -> None:
    kind = Annotated[Wish, Only("size")]
    assert _made_of("--size", "2", kind=kind)[0] == Wish(2)
    assert "No such option" in _made_of("--name", "a", kind=kind)[1]


def test_days_mean_their_beginning_or_their_end() -> None:
    staged = options_of(
        StageOptions, parse(["immich-stage", "--user", "a", "--since", "2024-05-01", "--until", "2024-05-02"])
    )
    assert (staged.since, staged.until) == (
        datetime.combine(date(2024, 5, 1), time.min),
        datetime.combine(date(2024, 5, 2), time.max),
    )
    found = options_of(SearchOptions, parse(["search", "--from", "2024-05-01"]))
    assert (found.since, found.until) == (date(2024, 5, 1), None)
    with pytest.raises(WrongUsage, match=r"^--from tomorrow is not a date"):
        options_of(SearchOptions, parse(["search", "--from", "tomorrow"]))


def test_all_stages_run_unless_some_are_named() -> None:
    def stages(*words: str) -> tuple[str, ...]:
        kind: Any = start.EmbedOptions if words[0] == "embed" else index.IndexOptions
        return tuple(options_of(kind, parse(words)).stages)

    assert stages("embed", "photos", "faces.npz") == ("metadata", "attributes")
    assert stages("embed", "photos", "faces.npz", "--stages", "attributes") == ("attributes",)
    assert stages("embed", "photos", "faces.npz", "--stages", "none") == ()
    assert stages("index", "--target", "photos") == IN_EVERY_RUN
    assert stages("index", "--target", "photos", "--stages", "attributes,metadata") == (
        "metadata",
        "attributes",
    )
    with pytest.raises(WrongUsage, match="a cache cannot store scene"):
        stages("embed", "photos", "faces.npz", "--stages", "scene,metadata")


def test_a_list_read_from_text_keeps_its_declared_default() -> None:
    names = Annotated[tuple[str, ...], Option("Names.", parse=lambda _, text: tuple(text.split(",")))]
    made = dataclasses.make_dataclass("Made", [("names", names, ("anna", "ben"))], frozen=True)
    seen: list[Any] = []

    def command(*, options: made) -> None:  # type: ignore[valid-type]
        seen.append(options.names)  # type: ignore[attr-defined]

    command.__annotations__ = {"options": made, "return": None}
    app = typer.Typer()
    app.command()(with_flags(command))
    for line in ([], ["--names", "cleo,dora"]):
        assert CliRunner().invoke(app, line).exit_code == 0
    assert seen == [("anna", "ben"), ("cleo", "dora")]
