#!/usr/bin/env python3
"""Whether the pins can be installed on every system that README names, without downloading them.

    scripts/try_pins.py [PYTHON_VERSION...]

It needs a package index, and lists each pin that a system lacks. pip tells which wheels fit another system,
but evaluates markers for this one: that is done here. What is pinned must also be all that is needed, for it
is installed without resolving.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SCRIPTS = Path(__file__).parent
LINUX = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux_2_17")
OLD_LINUX = ("manylinux2014", "manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1")
SYSTEMS = {
    "Linux x86-64": (
        [f"{each}_x86_64" for each in (*LINUX, *OLD_LINUX)],
        ("linux", "Linux", "x86_64", "posix"),
    ),
    "Linux ARM": (
        [f"{each}_aarch64" for each in (*LINUX, "manylinux2014")],
        ("linux", "Linux", "aarch64", "posix"),
    ),
    "Windows": (["win_amd64"], ("win32", "Windows", "AMD64", "nt")),
    "macOS": (["macosx_14_0_arm64"], ("darwin", "Darwin", "arm64", "posix")),
}
"""Of each system the wheels that it takes, and what markers call it."""

PROVIDERS = {"cpu": tuple(SYSTEMS), "cuda": ("Linux x86-64", "Windows"), "directml": ("Windows",)}
LEFT_OUT = {"opencv-python", "onnxruntime", "huggingface-hub"}
"""Required by insightface, but another distribution takes their place; by tokenizers, for downloads alone."""


def pins(provider: str) -> list[str]:
    """The lines that `scripts/install` takes."""
    text = subprocess.run(
        ["bash", SCRIPTS / "pins", provider], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def environment(system: str, version: str) -> dict[str, str]:
    """What markers ask about."""
    platform, name, machine, os_name = SYSTEMS[system][1]
    return {
        "sys_platform": platform,
        "platform_system": name,
        "platform_machine": machine,
        "os_name": os_name,
        "python_version": version,
        "python_full_version": f"{version}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def resolved(wanted: Iterable[str], system: str, version: str) -> list[dict[str, Any]] | str:
    """What pip would install there, each as its metadata; or the reason why it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        report, requirements = Path(folder, "report"), Path(folder, "requirements")
        requirements.write_text("\n".join(wanted))
        tags = [word for tag in SYSTEMS[system][0] for word in ("--platform", tag)]
        line = [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--dry-run"),
            *("--no-deps", "--ignore-installed", "--only-binary=:all:", "--target", folder, *tags),
            *("--python-version", version, "--report", str(report), "-r", str(requirements)),
        ]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            return next(iter(re.findall(r"ERROR: (No matching .*|.*)", done.stderr)[-1:]), done.stderr)
        found: list[dict[str, Any]] = json.loads(report.read_text())["install"]
        return [each["metadata"] for each in found]


def lacking(provider: str, system: str, version: str) -> list[str]:
    """What is wrong with the pins there, a line each."""
    where = environment(system, version)
    requirements = [Requirement(line) for line in pins(provider)]
    wanted = [f"{each.name}{each.specifier}" for each in requirements if _holds(each.marker, where)]
    found = resolved(wanted, system, version)
    if isinstance(found, str):
        every = {each: resolved([each], system, version) for each in wanted}
        return [f"{each}: {why}" for each, why in every.items() if isinstance(why, str)] or [found]
    pinned = {canonicalize_name(each["name"]) for each in found}
    needed = {
        (canonicalize_name(need.name), each["name"])
        for each in found
        for need in map(Requirement, each.get("requires_dist", ()))
        if _holds(need.marker, where)
    }
    return [
        f"{name}, which {by} needs, is not pinned"
        for name, by in sorted(needed)
        if name not in pinned | LEFT_OUT
    ]


def _holds(marker: Marker | None, where: dict[str, str]) -> bool:
    return marker is None or marker.evaluate(where)


def main() -> int:
    """Try all and say what fails; the status is 1 where something does."""
    failed = False
    for version in sys.argv[1:] or ["3.11"]:
        for provider, systems in PROVIDERS.items():
            for system in systems:
                problems = lacking(provider, system, version)
                failed = failed or bool(problems)
                print(f"{'!!' if problems else 'ok'}  {provider}, {system}, Python {version}")
                print("".join(f"      {problem}\n" for problem in problems), end="", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
