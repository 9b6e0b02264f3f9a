"""What scripts/try_image does: docs/deploy.md, twice; as other accounts; and with mistakes.

scripts/try_image.py WORK (docker | root) [PHOTOS]
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Protocol

from image_root import Done, RootDeployment, build_image

CHECKOUT = Path(__file__).resolve().parents[1]
_COMPLAINTS = re.compile(r"Read-only file system|Permission denied|Traceback|not writable", re.IGNORECASE)
_COUNTS = ("galleries", "images", "paths", "faces", "assigned", "clustered", "persons", "questions")
_ASK = """
import sys, urllib.request
headers = {}
if sys.argv[2] == "token":
    headers["Authorization"] = "Bearer " + open("/run/secrets/token").read().strip()
request = urllib.request.Request("http://127.0.0.1:8765" + sys.argv[1], headers=headers)
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


class Deployment(Protocol):
    """What is done with `docker compose`."""

    def run(self, *words: str) -> Done:
        """`docker compose run --rm app WORDS`."""
        ...

    def run_alone(self, *words: str) -> Done:
        """The same without starting the database."""
        ...

    def inside(self, *words: str) -> Done:
        """`docker compose exec app WORDS`."""
        ...

    def up(self) -> None:
        """`docker compose up --detach --wait`."""
        ...

    def logs(self) -> str:
        """`docker compose logs app`."""
        ...

    def stop(self, name: str) -> None:
        """`docker compose stop NAME`."""
        ...

    def close(self) -> None:
        """`docker compose down --volumes`."""
        ...


class DockerDeployment:
    """The services of a compose file, by `docker compose`."""

    def __init__(self, deploy: Path) -> None:
        self._compose = [
            "docker",
            "compose",
            "--project-name",
            "facesets-try",
            "--project-directory",
            str(deploy),
        ]
        listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
        for name in listed.stdout.splitlines():
            if not name.startswith("deploy/"):
                (deploy.parent / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(CHECKOUT / name, deploy.parent / name)
        subprocess.run([*self._compose, "build"], check=True)

    def _do(self, *words: str, check: bool = False) -> Done:
        return subprocess.run([*self._compose, *words], capture_output=True, text=True, check=check)

    def run(self, *words: str) -> Done:
        """`docker compose run --rm app WORDS`."""
        return self._do("run", "--rm", "-T", "app", *words)

    def run_alone(self, *words: str) -> Done:
        """The same without starting the database."""
        return self._do("run", "--rm", "-T", "--no-deps", "app", *words)

    def inside(self, *words: str) -> Done:
        """`docker compose exec app WORDS`."""
        return self._do("exec", "-T", "app", *words)

    def up(self) -> None:
        """`docker compose up --detach --wait`."""
        self._do("up", "--detach", "--wait", check=True)

    def logs(self) -> str:
        """`docker compose logs app`."""
        return self._do("logs", "--no-log-prefix", "app", check=True).stdout

    def stop(self, name: str) -> None:
        """`docker compose stop NAME`."""
        self._do("stop", name, check=True)

    def close(self) -> None:
        """`docker compose down --volumes`."""
        self._do("down", "--volumes", "--remove-orphans", check=True)


class Trial:
    """One deployment, in a copy of the folder `deploy`, whose commands are printed with what they answer."""

    def __init__(
        self,
        folder: Path,
        photos: Path,
        account: int,
        start: Callable[[Path], Deployment],
        *,
        results: bool = False,
    ) -> None:
        self.folder, self.account, self.commands = folder, account, 0
        self.deploy = folder / "deploy"
        secrets = shutil.ignore_patterns("token", "database-password", ".env")
        shutil.copytree(CHECKOUT / "deploy", self.deploy, ignore=secrets)
        self.settings = {"PHOTOS": str(photos), "FACESETS_UID": str(account), "FACESETS_GID": str(account)}
        if results:
            self.settings["RESULTS"] = str(folder / "results")
            (folder / "results").mkdir()
            self._give(folder / "results")
        self.write_settings()
        for name in ("token", "database-password"):
            self.write_secret(name, os.urandom(24).hex() + "\n")
        # The published port may be in use on this machine.
        compose = self.deploy / "compose.yaml"
        compose.write_text(compose.read_text().replace("127.0.0.1:8765:8765", "127.0.0.1::8765"))
        self.services = start(self.deploy)

    def write_settings(self, **others: str) -> None:
        """Write `.env` from `.env.example`, with some values others for once."""
        text = (CHECKOUT / "deploy" / ".env.example").read_text()
        for name, value in (self.settings | others).items():
            text, found = re.subn(rf"^#?{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
            if found != 1:
                sys.exit(f"deploy/.env.example has no line {name}=.")
        (self.deploy / ".env").write_text(text)

    def write_secret(self, name: str, text: str, mode: int = 0o600) -> None:
        """Write a secret that nobody but the account may read."""
        path = self.deploy / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self._give(path)

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.account, self.account)

    def run(self, *words: str, status: int = 0, says: str = "", alone: bool = False) -> str:
        """Run a command, which has to end so, say that, and complain of nothing that it may not write."""
        began = time.monotonic()
        done = (self.services.run_alone if alone else self.services.run)(*words)
        said = done.stdout + done.stderr
        print(f"  $ docker compose run --rm app {' '.join(words)}   ({time.monotonic() - began:.1f} s)")
        lines = said.strip().splitlines()
        print("".join(f"      {shorten(line, 150)}\n" for line in lines[:6]), end="", flush=True)
        if done.returncode != status or says not in said or (status == 0 and _COMPLAINTS.search(said)):
            sys.exit(f"Expected status {status} and {says!r}; status {done.returncode}:\n{said}")
        self.commands += 1
        return done.stdout

    def ask(self, path: str, answer: str, *, token: bool = False) -> None:
        """Ask the server within its container."""
        done = self.services.inside("python", "-c", _ASK, path, "token" if token else "")
        print(f"  GET {path}{' with the token' if token else ''}: {done.stdout.strip()}", flush=True)
        if not done.stdout.startswith(answer):
            sys.exit(f"Expected {answer}: {done.stdout}{done.stderr}")


def walk(trial: Trial) -> None:
    """From models to a backup, and everything a second time, which brings no news."""
    trial.run("models", "pull", "open")
    serve(trial)
    trial.run("index", "/photos")
    trial.run("cluster")
    first = json.loads(trial.run("stats", "--json"))
    trial.run("db", "backup", "library.dump")
    kept = trial.services.inside("stat", "--format=%a %u", "/results/library.dump").stdout
    if kept != f"600 {trial.account}\n":
        sys.exit(f"Mode and owner of the backup: {kept}")
    trial.services.stop("app")
    trial.services.stop("database")
    print("  Again, after `docker compose stop`:")
    trial.run("models", "pull", "open")
    serve(trial)
    trial.run("index", "/photos")
    trial.run("cluster")
    second = json.loads(trial.run("stats", "--json"))
    if not first["faces"] or any(first[name] != second[name] for name in _COUNTS):
        sys.exit("The second time brought news, or the first time brought none.")
    trial.run("db", "backup", "library.dump", status=2, says="--replace")
    trial.run("db", "backup", "--replace", "library.dump")
    trial.run("refine", "facesets")
    trial.run("doctor")
    trial.services.stop("app")


def serve(trial: Trial) -> None:
    """Start the server, which answers those who know the token."""
    trial.services.up()
    print("  $ docker compose up --detach")
    trial.ask("/health", "200")
    trial.ask("/people", "401")
    trial.ask("/people", "200", token=True)
    if _COMPLAINTS.search(trial.services.logs()):
        sys.exit(trial.services.logs())


def mistakes(trial: Trial) -> None:
    """What a user does wrong is said in a sentence."""
    command = trial.run
    trial.write_secret("token", "")
    command("serve", status=2, says="deploy/token is empty")
    trial.write_secret("token", "short\n")
    serving = ["serve", "--host", "0.0.0.0", "--token-file", "/run/secrets/token"]
    command(*serving, status=2, says="too short")
    trial.write_secret("token", "a password of some length\n", 0)
    command("index", "/photos", status=2, says="cannot read deploy/token")
    trial.write_secret("token", "a password of some length\n")
    password = (trial.deploy / "database-password").read_text()
    trial.write_secret("database-password", "another\n")
    command("index", "/photos", status=2, says="refuses the password")
    trial.write_secret("database-password", password, 0)
    command("stats", status=2, says="cannot read deploy/database-password")
    trial.write_secret("database-password", password)
    with tempfile.TemporaryDirectory(dir=trial.folder) as empty:
        Path(empty).chmod(0o755)
        trial.write_settings(PHOTOS=empty)
        command("index", "/photos", status=2, says="no photos below /photos")
        Path(empty).chmod(0)
        command("index", "/photos", status=2)
    trial.write_settings(PHOTOS="")
    command("index", "/photos", status=1, says="PHOTOS is missing a value: copy .env.example to .env")
    trial.write_settings()
    trial.services.stop("database")
    command("stats", alone=True, status=2)


def main() -> None:
    """Make the image, and try it."""
    work, how, *given = sys.argv[1:]
    found = find_spec("insightface")
    if not given and (found is None or found.origin is None):
        sys.exit("Name a folder of photos: scripts/try_image PHOTOS")
    source = Path(given[0]) if given else Path(str(found and found.origin)).parent / "data" / "images"
    photos = Path(work) / "photos"
    shutil.copytree(source, photos)
    subprocess.run(["chmod", "-R", "a+rX", photos], check=True)
    began = time.monotonic()
    start: Callable[[Path], Deployment] = DockerDeployment
    if how == "root":
        start = partial(RootDeployment, build_image(CHECKOUT, Path(work)))
        print(f"Built in {time.monotonic() - began:.0f} s.", flush=True)
    # Files may be given to other accounts by root alone. The second one has no name in the image.
    accounts = (1000, 4242, 0) if os.geteuid() == 0 else (os.getuid(),)
    commands = 0
    for account in accounts:
        print(f"As account {account}:", flush=True)
        trial = Trial(Path(work) / str(account), photos, account, start, results=account == accounts[0])
        try:
            walk(trial)
            if account == accounts[0]:
                print("With mistakes:", flush=True)
                mistakes(trial)
        finally:
            trial.services.close()
        commands += trial.commands
    took = time.monotonic() - began
    engine = "with Docker" if how == "docker" else "without Docker"
    print(f"The image works: {commands} commands as {len(accounts)} accounts in {took:.0f} s, {engine}.")


if __name__ == "__main__":
    main()
