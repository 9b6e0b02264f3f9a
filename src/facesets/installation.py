"""How this program is installed, and by which commands something is added to that or repaired."""

import re
import sys
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from importlib.util import find_spec
from json import loads
from pathlib import Path
from types import ModuleType, TracebackType
from urllib.parse import urlsplit
from urllib.request import url2pathname

RIVALS = {
    "cv2": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "onnxruntime": ("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime"),
}
"""Distributions that bring the same module, those first that are rather kept.

pip puts two of them into one folder, where they overwrite each other file by file.
"""

_USUAL = {"cv2": "opencv-python-headless", "onnxruntime": "onnxruntime"}

RUNTIMES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}
"""The distributions of ONNX Runtime that have what the usual one lacks, by our names of that."""

_NAME = "facesets"
_PROVIDER = "provider"
"""A file that `scripts/install` leaves in its environment, beside one for each of its flags."""
_FLAGS = ("train", "scale", "describe")
"""Extras that `scripts/install` adds by flags; it always brings the others."""


EXTRAS = {
    "train": ("torch", "sklearn"),
    "scale": ("dask", "distributed"),
    "jobs": ("procrastinate", "psycopg_pool"),
}
"""The modules that optional parts of the program bring, by the names of their extras."""


def lacks_extra(extra: str) -> bool:
    """Whether an optional part is missing, or a piece of it, as far as that is seen without loading it."""
    try:
        return any(find_spec(module) is None for module in EXTRAS.get(extra, (extra,)))
    except ImportError:
        return True


def pip(*arguments: str) -> tuple[str, ...]:
    """A command of the pip of this environment, whatever `pip` is in the shell of who runs it."""
    return (sys.executable, "-m", "pip", *arguments)


def adding(extra: str) -> tuple[str, ...]:
    """The command that adds an optional part here, by the name of its extra.

    An index may not have this program: its name is in no command of pip, but what it requires is.
    """
    if script := _install_script():
        if extra in RUNTIMES:
            return (str(script), extra)
        if extra in _FLAGS:
            return (str(script), f"--{extra}")
    if extra in RUNTIMES:
        return _in_place(_required(RUNTIMES[extra]))
    return pip("install", *(_requirements(extra) or [f"{_NAME}[{extra}]"]))


def installed(module: str) -> list[str]:
    """Which of the distributions that bring a module are installed, those first that are rather kept."""
    # What an interrupted uninstall left behind has no name.
    every = [each.metadata for each in distributions()]
    names = {str(fields["Name"]).lower() for fields in every if fields and fields["Name"]}
    return [name for name in RIVALS[module] if name in names]


def kept(module: str) -> str:
    """The one distribution that is to bring a module here."""
    there = installed(module)
    return there[0] if there and module == "onnxruntime" else _USUAL[module]


def is_whole(name: str) -> bool:
    """Whether all files of an installed distribution are its own: none was removed or overwritten."""
    files = [each for each in distribution(name).files or () if each.size is not None]
    places = [Path(str(each.locate())) for each in files]
    return all(
        place.is_file() and place.stat().st_size == each.size
        for each, place in zip(files, places, strict=True)
    )


def repairing(module: str) -> tuple[str, ...]:
    """The command after which one whole distribution brings a module.

    The others stay by name, for whatever requires them would bring them back with the next installation.
    """
    name = kept(module)
    if name not in installed(module):
        return _in_place(_required(name))
    return _in_place(f"{name}=={distribution(name).version}")


def module_at_fault(error: ImportError | AttributeError) -> str:
    """Which module of `RIVALS` could not be loaded, or is not all there; empty for none of them."""
    if isinstance(error, AttributeError):
        names = [error.obj.__name__] if isinstance(error.obj, ModuleType) else []
    elif isinstance(error, ModuleNotFoundError):
        names = [error.name or ""]
    else:
        names = [error.name or "", *_modules(error.__traceback__)]
    return next((top for each in names if (top := each.partition(".")[0]) in RIVALS), "")


def page(name: str) -> str:
    """Where a page of the documents lies here, such as `packs.md`."""
    in_checkout = Path(__file__).parents[2] / "docs" / name
    if in_checkout.exists():
        return str(in_checkout)
    files = ((own := _own()) and own.files) or ()
    there = (each.locate() for each in files if each.match(f"share/doc/{_NAME}/{name}"))
    return next((str(Path(str(each)).resolve()) for each in there), f"docs/{name}")


def with_pages(text: str) -> str:
    """A text with each page of the documents, such as `docs/packs.md`, where it lies here."""
    return re.sub(r"\bdocs/([\w-]+\.md)", lambda found: page(found[1]), text)


def _modules(traceback: TracebackType | None) -> list[str]:
    """Whose code was running, innermost first."""
    names: list[str] = []
    while traceback is not None:
        names.insert(0, str(traceback.tb_frame.f_globals.get("__name__", "")))
        traceback = traceback.tb_next
    return names


def _in_place(requirement: str) -> tuple[str, ...]:
    """Install a distribution over whatever is in its place."""
    return pip("install", "--force-reinstall", "--no-deps", requirement)


@cache
def _own() -> Distribution | None:
    try:
        return distribution(_NAME)
    except PackageNotFoundError:
        return None


def _install_script() -> Path | None:
    """The `scripts/install` that made this environment; None where something else did."""
    own = _own()
    origin = loads((own and own.read_text("direct_url.json")) or "{}")
    if sys.platform == "win32" or not origin.get("dir_info", {}).get("editable"):
        return None
    checkout = Path(url2pathname(urlsplit(origin["url"]).path))
    is_its_own = Path(sys.prefix) == checkout / ".venv" and Path(sys.prefix, _PROVIDER).exists()
    return checkout / "scripts" / "install" if is_its_own else None


def _requirements(extra: str) -> list[str]:
    """What an extra requires; of the program itself without one."""
    own = _own()
    marker = f'extra == "{extra}"' if extra else ""
    lines = [line.replace("'", '"').partition(";") for line in (own and own.requires) or ()]
    return [line.strip() for line, _, on in lines if (marker in on if extra else "extra" not in on)]


def _required(name: str) -> str:
    """A distribution with the bounds that this program has for it."""
    lines = [line for extra in ("", *RUNTIMES) for line in _requirements(extra)]
    return next((line for line in lines if line.startswith(f"{name}>")), name)
