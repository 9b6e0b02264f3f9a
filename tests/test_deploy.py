"""What runs the program as a service: as far as it can be checked without doing so."""

import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from facesets.errors import AlreadyRunning, Unreachable, WrongUsage
from facesets.web.serving import bound_socket
from tests.fixtures.parsing import parse
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
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(AlreadyRunning):
        bound_socket("127.0.0.1", other.getsockname()[1])


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
    # The program is not where a user installs it, and nobody is called so here.
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
    services = _compose()["services"]
    parse(services["app"]["command"])
    text = (DEPLOY / "compose.yaml").read_text() + (DEPLOY / "entrypoint").read_text()
    for words in re.findall(r"(?:compose run --rm app|^.*\|\| facesets) (.+)$", text, re.MULTILINE):
        parse(shlex.split(words))


def test_compose_names_only_what_it_has() -> None:
    compose = _compose()
    for service in compose["services"].values():
        assert set(service["secrets"]) <= set(compose["secrets"])
        assert "healthcheck" in service
        named = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith("$")}
        assert named <= set(compose["volumes"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["app"]["ports"])


def test_what_the_image_is_made_of_exists() -> None:
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (REPOSITORY / source).exists()
    assert subprocess.run(["sh", "-n", DEPLOY / "entrypoint"], check=False).returncode == 0
