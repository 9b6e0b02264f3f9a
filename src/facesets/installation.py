"""The installation of this program, and the commands that extend or repair it."""

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
"""Distributions that contain the same module, preferred ones first.

pip puts two of them into one folder, where they overwrite each other file by file.
"""

_USUAL = {"cv2": "opencv-python-headless", "onnxruntime": "onnxruntime"}

RUNTIMES = {"cuda": "onnxruntime-gpu", "directml": "onnxruntime-directml"}
"""Distributions of ONNX Runtime with further features, by our names for the features."""

_NAME = "facesets"
_PROVIDER = "provider"
"""A file that `scripts/install` leaves in its environment, beside one for each of its flags."""
_FLAGS = ("train", "scale", "describe")
"""Extras that `scripts/install` adds by flags; it always installs the others."""


EXTRAS = {
    "train": ("torch", "sklearn"),
    "scale": ("dask", "distributed"),
    "jobs": ("procrastinate", "psycopg_pool"),
}
"""Modules of the program's optional parts, by the names of their extras."""


def lacks_extra(extra: str) -> bool:
    """Whether an optional part is missing or incomplete, as far as can be found without loading it."""
    try:
        return any(find_spec(module) is None for module in EXTRAS.get(extra, (extra,)))
    except ImportError:
        return True


def pip(*arguments: str) -> tuple[str, ...]:
    """Return a command of this environment's pip, independent of `pip` in the user's shell."""
    return (sys.executable, "-m", "pip", *arguments)


def adding(extra: str) -> tuple[str, ...]:
    """Return the command that adds an optional part here, by the name of its extra.

    Commands of pip name the requirements, because an index may not have this program.
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
    """Return the installed distributions that bring a module, preferred ones first."""
    # Leftovers of an interrupted uninstall have no name.
    every = [each.metadata for each in distributions()]
    names = {str(fields["Name"]).lower() for fields in every if fields and fields["Name"]}
    return [name for name in RIVALS[module] if name in names]


def preferred(module: str) -> str:
    """Return the one distribution that should bring a module here."""
    there = installed(module)
    return there[0] if there and module == "onnxruntime" else _USUAL[module]


def is_whole(name: str) -> bool:
    """Whether an installed distribution is complete: no file was removed or overwritten."""
    files = [each for each in distribution(name).files or () if each.size is not None]
    places = [Path(str(each.locate())) for each in files]
    return all(
        place.is_file() and place.stat().st_size == each.size
        for each, place in zip(files, places, strict=True)
    )


def repairing(module: str) -> tuple[str, ...]:
    """Return the command that leaves exactly one complete distribution of a module.

    The other distributions stay installed by name, because packages that require them would reinstall them.
    """
    name = preferred(module)
    if name not in installed(module):
        return _in_place(_required(name))
    return _in_place(f"{name}=={distribution(name).version}")


def module_at_fault(error: ImportError | AttributeError) -> str:
    """Return the module of `RIVALS` that could not be loaded, or is incomplete; empty for none."""
    if isinstance(error, AttributeError):
        names = [error.obj.__name__] if isinstance(error.obj, ModuleType) else []
    elif isinstance(error, ModuleNotFoundError):
        names = [error.name or ""]
    else:
        names = [error.name or "", *_modules(error.__traceback__)]
    return next((top for each in names if (top := each.partition(".")[0]) in RIVALS), "")


def page(name: str) -> str:
    """Return the path of a page of the documents, such as `packs.md`."""
    in_checkout = Path(__file__).parents[2] / "docs" / name
    if in_checkout.exists():
        return str(in_checkout)
    files = ((own := _own()) and own.files) or ()
    there = (each.locate() for each in files if each.match(f"share/doc/{_NAME}/{name}"))
    return next((str(Path(str(each)).resolve()) for each in there), f"docs/{name}")


def with_pages(text: str) -> str:
    """Replace each page of the documents in a text, such as `docs/packs.md`, by its path here."""
    return re.sub(r"\bdocs/([\w-]+\.md)", lambda found: page(found[1]), text)


def _modules(traceback: TracebackType | None) -> list[str]:
    """Yield the modules of the running code, innermost first."""
    names: list[str] = []
    while traceback is not None:
        names.insert(0, str(traceback.tb_frame.f_globals.get("__name__", "")))
        traceback = traceback.tb_next
    return names


def _in_place(requirement: str) -> tuple[str, ...]:
    """Return the command that installs a distribution over an existing one."""
    return pip("install", "--force-reinstall", "--no-deps", requirement)


@cache
def _own() -> Distribution | None:
    try:
        return distribution(_NAME)
    except PackageNotFoundError:
        return None


def _install_script() -> Path | None:
    """Return the `scripts/install` that made this environment; None if another tool did."""
    own = _own()
    origin = loads((own and own.read_text("direct_url.json")) or "{}")
    if sys.platform == "win32" or not origin.get("dir_info", {}).get("editable"):
        return None
    checkout = Path(url2pathname(urlsplit(origin["url"]).path))
    is_its_own = Path(sys.prefix) == checkout / ".venv" and Path(sys.prefix, _PROVIDER).exists()
    return checkout / "scripts" / "install" if is_its_own else None


def _requirements(extra: str) -> list[str]:
    """Return the requirements of an extra, or of the program itself."""
    own = _own()
    marker = f'extra == "{extra}"' if extra else ""
    lines = [line.replace("'", '"').partition(";") for line in (own and own.requires) or ()]
    return [line.strip() for line, _, on in lines if (marker in on if extra else "extra" not in on)]


def _required(name: str) -> str:
    """Return a distribution with this program's version bounds."""
    lines = [line for extra in ("", *RUNTIMES) for line in _requirements(extra)]
    return next((line for line in lines if line.startswith(f"{name}>")), name)
