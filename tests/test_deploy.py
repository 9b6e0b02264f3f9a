"""Files to run the program as a service, checked without doing so."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from facesets import settings
from facesets.errors import AlreadyRunning, Unreachable, WrongUsage
from tests.fixtures.dockerfile import is_ignored, read_ignored, read_stages
from tests.fixtures.parsing import parse
from tests.fixtures.postgres import open_directory
from tests.fixtures.program import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))


def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_the_program_understands(unit: Path) -> None:
    [line] = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    program, *words = shlex.split(line)
    assert program.endswith("/facesets")
    parse(words)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_not_started_again_while_another_program_has_its_port(unit: Path) -> None:
    line = f"RestartPreventExitStatus={AlreadyRunning.exit_status}"
    assert line in unit.read_text().splitlines()
    assert AlreadyRunning.exit_status not in {WrongUsage.exit_status, Unreachable.exit_status}


def test_each_user_of_the_system_unit_has_a_port_and_a_token_of_their_own() -> None:
    unit = (DEPLOY / "facesets@.service").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert settings["EnvironmentFile"] == "-/etc/facesets/%i.env"
    assert settings["StateDirectory"] == "facesets/%i"
    assert settings["StateDirectoryMode"] == "0700"
    assert "XDG_DATA_HOME=%S/facesets/%i" in settings["Environment"].split()
    known = (REPOSITORY / "docs" / "cli.md").read_text()
    named = set(re.findall(r"FACESETS_\w+", unit))
    assert "FACESETS_SERVE_PORT" in named
    assert [each for each in named if f"`{each}`" not in known] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_a_unit(unit: Path, tmp_path: Path) -> None:
    # The program is installed elsewhere here, and this machine has no such user.
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
    copy = tmp_path / unit.name.replace("@", "@root")
    copy.write_text(text)
    where = ["--user"] if "@" not in unit.name else []
    done = subprocess.run(
        ["systemd-analyze", *where, "--man=no", "verify", copy],
        env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_compose_starts_commands_that_the_program_understands() -> None:
    parse(_compose()["services"]["app"]["command"])
    text = (REPOSITORY / "docs" / "deploy.md").read_text() + (DEPLOY / "entrypoint").read_text()
    lines = re.findall(
        r"(?:compose run --rm (?:-\S+ )*(?:\w+=\S+ )?app|^.*\|\| facesets) (.+)$", text, re.MULTILINE
    )
    assert len(lines) > 5
    for words in lines:
        parse(shlex.split(words))


def test_compose_names_only_what_it_has() -> None:
    compose = _compose()
    for service in compose["services"].values():
        assert set(service["secrets"]) <= set(compose["secrets"])
        assert "healthcheck" in service
        assert _volumes(service) <= set(compose["volumes"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["app"]["ports"])


def _volumes(service: dict[str, Any]) -> set[str]:
    """The volumes of a service, those among them that a setting may replace by a folder."""
    named = (volume.rpartition(":")[0] for volume in service["volumes"] if isinstance(volume, str))
    return {re.sub(r"\$\{\w+:-(\w+)\}", r"\1", name) for name in named}


def _image_environment() -> dict[str, str]:
    steps = read_stages((DEPLOY / "Dockerfile").read_text())[-1].steps
    words = (word for instruction, words in steps if instruction == "ENV" for word in shlex.split(words))
    return dict(word.split("=", 1) for word in words)


def test_in_the_read_only_container_all_that_is_written_lies_in_volumes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = _compose()["services"]["app"]
    assert app["read_only"]
    volumes = [Path(volume.rpartition(":")[2]) for volume in app["volumes"] if isinstance(volume, str)]
    monkeypatch.delenv("FACESETS_DATA", raising=False)
    for name, value in _image_environment().items():
        if name != "PATH":
            monkeypatch.setenv(name, value)
    found = settings.load()
    for path in (found.model_roots[0], found.cache_dir, found.state_dir, found.config_dir, Path.home()):
        assert any(path.is_relative_to(volume) for volume in volumes), path


def test_a_new_volume_may_be_written_by_whichever_account_runs_the_container() -> None:
    app = _compose()["services"]["app"]
    assert app["user"] == "${FACESETS_UID:-1000}:${FACESETS_GID:-1000}"
    steps = read_stages((DEPLOY / "Dockerfile").read_text())[-1].steps
    [made] = re.findall(r"install -d -m 1777 (.+)$", "\n".join(text for _, text in steps), re.MULTILINE)
    assert set(made.split()) == {v.rpartition(":")[2] for v in app["volumes"] if isinstance(v, str)}


def test_the_example_of_settings_names_all_that_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert set(re.findall(r"^#?(\w+)=", (DEPLOY / ".env.example").read_text(), re.MULTILINE)) == asked


def test_secrets_reach_neither_the_repository_nor_the_image() -> None:
    secrets = [Path(secret["file"]).name for secret in _compose()["secrets"].values()]
    of_git = (REPOSITORY / ".gitignore").read_text().splitlines()
    of_image = read_ignored((REPOSITORY / ".dockerignore").read_text())
    for name in (*secrets, ".env"):
        assert f"/deploy/{name}" in of_git
        assert is_ignored(f"deploy/{name}", of_image)
    assert is_ignored(".git/config", of_image)
    assert is_ignored("src/facesets/__pycache__/files.pyc", of_image)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_secrets_made_as_documented_are_their_owners_alone(tmp_path: Path) -> None:
    [line] = re.findall(r"^    (.*openssl.*)$", (REPOSITORY / "docs" / "deploy.md").read_text(), re.MULTILINE)
    subprocess.run(["sh", "-ec", line], cwd=tmp_path, check=True)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        Path(secret["file"]).name: 0o600 for secret in _compose()["secrets"].values()
    }


def test_files_of_the_image_exist_and_are_not_ignored() -> None:
    ignored = read_ignored((REPOSITORY / ".dockerignore").read_text())
    steps = [step for stage in read_stages((DEPLOY / "Dockerfile").read_text()) for step in stage.steps]
    copied = [
        words.split()[:-1] for instruction, words in steps if instruction == "COPY" and "--from" not in words
    ]
    assert copied
    for source in (source for sources in copied for source in sources):
        assert (REPOSITORY / source).exists()
        assert not is_ignored(source, ignored)


Container = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def container() -> Iterator[Container]:
    """Run the entrypoint with secrets of these texts (`None`: a folder), as an account that is not root."""
    folder = open_directory()
    secrets = folder / "secrets"
    secrets.mkdir()
    entrypoint, program = folder / "entrypoint", folder / "facesets"
    entrypoint.write_text((DEPLOY / "entrypoint").read_text().replace("/run/secrets", str(secrets)))
    program.write_text('#!/bin/sh\necho "$* with ${PGPASSWORD:-no password}"\n')
    program.chmod(0o755)

    def run(*words: str, mode: int = 0o644, **texts: str | None) -> subprocess.CompletedProcess[str]:
        for name, text in texts.items():
            path = secrets / name.replace("_", "-")
            path.unlink(missing_ok=True)
            if text is None:
                path.mkdir()
            else:
                path.write_text(text)
                path.chmod(mode)
        return subprocess.run(
            ["sh", entrypoint, *words],
            env={"PATH": f"{folder}:{os.environ['PATH']}"},
            user=65534 if os.geteuid() == 0 else None,
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    shutil.rmtree(folder)


def test_the_container_gives_commands_the_password_and_serve_a_current_schema(
    container: Container,
) -> None:
    assert container("models", "list").stdout == "models list with no password\n"
    given = {"token": "a token", "database_password": "secret\n"}
    assert container("stats", **given).stdout == "stats with secret\n"
    assert container("serve", **given).stdout == "migrate --quiet with secret\nserve with secret\n"


@pytest.mark.parametrize("name", ["token", "database-password"])
def test_the_container_names_the_secret_it_cannot_use(container: Container, name: str) -> None:
    for text, mode, reason in (
        ("secret", 0o000, "cannot read deploy/"),
        ("\n", 0o644, "is empty"),
        (None, 0o755, "is a folder"),
    ):
        done = container("stats", mode=mode, **{name: text})
        assert (done.returncode, done.stdout) == (2, "")
        assert f"deploy/{name}" in done.stderr
        assert reason in done.stderr
