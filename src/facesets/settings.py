"""Flags, then environment, then `facesets.toml`: the only place that reads the environment.

A flag of a command may be given as `FACESETS_<COMMAND>_<FLAG>` in the environment or as
`flag = value` under `[command]` in the file; the file is `facesets.toml` in the current directory,
else in the user's configuration directory, or what `FACESETS_CONFIG` names.
"""

import os
import shutil
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import platformdirs

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.machine import cpu_flags, processors, recommended_blas_coretype

ENVIRONMENT_PREFIX = "FACESETS"
ANTHROPIC_URL = "https://api.anthropic.com"

_TEXTS = ("models", "pack", "database", "data", "immich_url")
"""Settings that belong to no command, without secrets, which only come from the environment."""


class Secret:
    """A text that never appears in messages, tracebacks or logs."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings made outside of the command line.

    Attributes
    ----------
    model_roots : tuple of Path
        Where model packs are looked for, in order; the first receives downloads.
    pack : str
        Name or path of the model pack for new caches and libraries; empty means the default one.
    flags : mapping of command to flag to value
        Defaults from the file.
    cpus : int
        Processors that this process may use.
    database : str
        Connection string of the library; empty means the embedded server. May hold a password.
    cache_dir : Path
        The folder of cached data; it may be deleted at any time.
    blank_database : str
        The setting that names the library but has no value; empty if there is no such setting.
    data : Path or None
        Where the embedded server keeps the library; None means this user's default place.
    state_dir : Path
        The folder of this machine's data, beside the library.
    immich_url : str
        Address of an Immich server; empty if none is set.
    immich_api_key : Secret or None
        Its key.
    file : Path or None
        The configuration file that was read.
    immich_export : Path or None
        The export with the people that `immich-finish` knows.
    llm_prices : mapping
        Prices of language models by name, if the file has them.
    config_dir : Path
        Where this user's settings are.
    worker_paths : mapping
        Where folders of the library lie on this host.
    schedule : mapping
        Tasks of upkeep, and when workers queue them.
    """

    model_roots: tuple[Path, ...]
    pack: str = ""
    flags: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cpus: int = 1
    database: str = field(default="", repr=False)
    cache_dir: Path = field(default_factory=lambda: platformdirs.user_cache_path("facesets"))
    blank_database: str = ""
    data: Path | None = None
    state_dir: Path = field(default_factory=lambda: platformdirs.user_data_path("facesets"))
    immich_url: str = ""
    immich_api_key: Secret | None = None
    file: Path | None = None
    immich_export: Path | None = None
    llm_prices: Mapping[str, Any] = field(default_factory=dict)
    config_dir: Path = field(default_factory=lambda: platformdirs.user_config_path("facesets"))
    worker_paths: Mapping[str, str] = field(default_factory=dict)
    schedule: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """The language model that describes photos, and its access.

    Attributes
    ----------
    provider : str
        `anthropic`, `bedrock` or `openai`; empty if none is set.
    model : str
        Its name; empty for the provider's default.
    api_key : Secret or None
        For a server with OpenAI's interface.
    batch_size, min_batch_size : int
        Maximum and minimum number of photos in a batch.
    check_interval_s : float
        Time between two checks of a batch.
    """

    provider: str = ""
    model: str = ""
    api_key: Secret | None = None
    anthropic_api_key: Secret | None = None
    anthropic_url: str = ANTHROPIC_URL
    bedrock_model: str = ""
    aws_region: str = ""
    aws_profile: str = ""
    bedrock_bucket: str = ""
    bedrock_role: str = ""
    batch_size: int = 100
    min_batch_size: int = 10
    check_interval_s: float = 300.0


def load_llm(environment: Mapping[str, str] | None = None) -> LlmSettings:
    """Read the settings of language models from the environment.

    Raises
    ------
    WrongUsage
        A value that must be a number is not one.
    """
    env = os.environ if environment is None else environment

    def secret(name: str) -> Secret | None:
        return Secret(text) if (text := env.get(name, "").strip()) else None

    return LlmSettings(
        provider=env.get("LLM_PROVIDER", "").strip().lower(),
        model=env.get("LLM_MODEL", "").strip(),
        api_key=secret("LLM_API_KEY"),
        anthropic_api_key=secret("ANTHROPIC_API_KEY"),
        anthropic_url=env.get("ANTHROPIC_BASE_URL", "").strip() or ANTHROPIC_URL,
        bedrock_model=env.get("BEDROCK_MODEL_ID", "").strip(),
        aws_region=env.get("AWS_REGION", "").strip(),
        aws_profile=env.get("AWS_PROFILE", "").strip(),
        bedrock_bucket=env.get("BEDROCK_BATCH_S3_BUCKET", "").strip(),
        bedrock_role=env.get("BEDROCK_BATCH_ROLE_ARN", "").strip(),
        batch_size=_whole_number(env, "BATCH_SIZE", 100, maximum=10_000),
        min_batch_size=_whole_number(env, "MIN_BATCH_SIZE", 10, maximum=10_000),
        check_interval_s=_whole_number(env, "BATCH_CHECK_INTERVAL", 300, maximum=86_400),
    )


def _whole_number(env: Mapping[str, str], name: str, default: int, *, maximum: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isdecimal() or not 1 <= int(text) <= maximum:
        raise WrongUsage(f"{name} is not a whole number between 1 and {maximum}. Correct or unset it.")
    return int(text)


def load(environment: Mapping[str, str] | None = None, directory: Path | None = None) -> Settings:
    """Read the environment and the configuration file.

    Raises
    ------
    WrongUsage
        The file is not TOML, or has invalid settings.
    """
    env = os.environ if environment is None else environment
    file = _config_file(env, directory or _here())
    content = _read(file)
    texts = {name: content.pop(name) for name in _TEXTS if name in content}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise WrongUsage(f'`{name}` in {printable(file or "")} must be a string: {name} = "…".')
    export = _immich_export(content.pop("immich", {}), file)
    describe = content.get("describe")
    prices = describe.pop("prices", {}) if isinstance(describe, dict) else {}
    if not isinstance(prices, dict):
        raise WrongUsage(f'`prices` in {printable(file or "")} must be a table [describe.prices."MODEL"].')
    worker = content.get("worker")
    paths = worker.pop("paths", {}) if isinstance(worker, dict) else {}
    schedule = content.pop("schedule", {})
    for name, table in (("paths", paths), ("schedule", schedule)):
        if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
            example = 'paths = {"/mnt/photos" = "Z:/photos"}' if name == "paths" else 'daily = "03:00"'
            raise WrongUsage(f"`{name}` in {printable(file or '')} must be a table of strings: {example}.")
    flags = {}
    for command, values in content.items():
        if not isinstance(values, dict):
            raise WrongUsage(
                f"`{command}` in {printable(file or '')} is not a global setting. Remove it, or move it "
                "under the [command] that has it."
            )
        flags[command] = {flag.replace("-", "_"): value for flag, value in values.items()}
    models = env.get("FACESETS_MODELS") or texts.get("models")
    roots = [Path(part).expanduser() for part in models.split(os.pathsep)] if models else []
    named = env.get("FACESETS_DATA") or texts.get("data")
    data = Path(named).expanduser().absolute() if named else None
    key = env.get("IMMICH_API_KEY")
    database = env.get("DATABASE_URL", texts.get("database"))
    named_by = "DATABASE_URL" if "DATABASE_URL" in env else f"`database` in {printable(file or '')}"
    return Settings(
        model_roots=(*roots, Path("~/.insightface").expanduser()),
        pack=env.get("FACESETS_PACK") or texts.get("pack", ""),
        flags=flags,
        cpus=processors(),
        database=(database or "").strip(),
        blank_database=named_by if database is not None and not database.strip() else "",
        data=data,
        state_dir=data or platformdirs.user_data_path("facesets"),
        immich_url=env.get("IMMICH_URL") or texts.get("immich_url", ""),
        immich_api_key=Secret(key) if key else None,
        file=file,
        immich_export=export,
        llm_prices=prices,
        config_dir=_config_home(env) / "facesets",
        worker_paths=paths,
        schedule=schedule,
    )


def inline_pictures(environment: Mapping[str, str] | None = None) -> Literal["kitty", "iterm2", ""]:
    """Return the protocol by which the terminal shows pictures; empty for none, as within tmux."""
    env = os.environ if environment is None else environment
    if env.get("TMUX") or env.get("TERM", "").startswith(("screen", "tmux")):
        return ""
    if env.get("TERM") in {"xterm-kitty", "xterm-ghostty"} or env.get("KITTY_WINDOW_ID"):
        return "kitty"
    if env.get("TERM_PROGRAM") in {"iTerm.app", "WezTerm"} or env.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return ""


def shows_windows(environment: Mapping[str, str] | None = None) -> bool:
    """Whether there is a desktop where another program can show a picture: not by SSH."""
    env = os.environ if environment is None else environment
    if sys.platform in {"win32", "darwin"}:
        return not env.get("SSH_CONNECTION")
    has_screen = bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))
    return has_screen and shutil.which("xdg-open", path=env.get("PATH")) is not None


def prepare_libraries() -> None:
    """Configure libraries by the environment, before they are loaded.

    OpenBLAS gets the processor's best kernel unless the user chose one. ONNX Runtime must send nothing to its
    makers: merely importing it would write an identity and events into the home directory, to be sent when
    there is a network.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    kernel = recommended_blas_coretype(cpu_flags())
    if kernel is not None:
        os.environ.setdefault("OPENBLAS_CORETYPE", kernel)


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise WrongUsage("The current directory no longer exists. Change to another one: cd ~") from error


def _config_file(env: Mapping[str, str], directory: Path) -> Path | None:
    if "FACESETS_CONFIG" in env:
        return Path(env["FACESETS_CONFIG"]).expanduser()
    candidates = [directory / "facesets.toml", _config_home(env) / "facesets" / "facesets.toml"]
    return next((path for path in candidates if path.is_file()), None)


def _config_home(env: Mapping[str, str]) -> Path:
    return Path(env.get("XDG_CONFIG_HOME") or "~/.config").expanduser()


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise WrongUsage(
            f"FACESETS_CONFIG names {printable(path)}, which does not exist. Correct or unset it."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise WrongUsage(
            f"Cannot read the settings in {printable(path)}: {error}. Repair or remove it."
        ) from error


def _immich_export(table: object, file: Path | None) -> Path | None:
    """Return the export that `[immich]` names."""
    if not isinstance(table, dict) or not table.keys() <= {"export"}:
        raise WrongUsage(f'[immich] in {printable(file or "")} has one setting: export = "DIR".')
    export = table.get("export")
    if export is not None and not (isinstance(export, str) and export):
        raise WrongUsage(f'`export` under [immich] in {printable(file or "")} must be a string: "DIR".')
    return Path(export).expanduser().absolute() if export else None
