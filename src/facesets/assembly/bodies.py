"""The stage `bodies`: which body model is taken, and where it runs."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from facesets.assembly.notices import Notices
from facesets.assembly.packs import get_pack
from facesets.errors import FacesetsError
from facesets.files import printable
from facesets.operations.ingest.stages import Stage
from facesets.settings import Settings
from facesets.work import Work

if TYPE_CHECKING:
    from facesets.assembly.stages import StageModels
    from facesets.inference.packs import ModelPack


def make_bodies_stage(models: "StageModels", conf: Settings, notices: Notices, work: Work) -> Stage | None:
    """The stage that finds bodies; None where no body model is here that can be used.

    Raises
    ------
    WrongUsage, DamagedFile, CannotInfer
        The body model that the user names is missing, is none, or does not run here.
    """
    from facesets.inference.bodies import BodyDetector
    from facesets.inference.body_models import find_body_model
    from facesets.inference.providers import PROVIDERS, choose_provider
    from facesets.operations.ingest.stages import bodies_stage

    pack = _pack(models, conf, notices, work)
    named = models.body_model or _of_settings(conf)
    path = named or find_body_model(conf.model_roots, None if pack is None else pack.path)
    if path is None:
        return None
    notices.detail(f"Body model: {printable(path)}")
    if pack is not None:
        provider = choose_provider(models.provider, pack.recogniser).provider
    else:
        # There is nothing to try an accelerator with.
        provider = PROVIDERS.get(models.provider, PROVIDERS["cpu"])
    try:
        return bodies_stage(BodyDetector(path, provider=provider))
    except FacesetsError as error:
        if named is not None:
            raise
        # Photos are to be taken in though a file that nobody named is none.
        notices.notice(f"No bodies are looked for. {error.sentence}")
        return None


def _of_settings(conf: Settings) -> Path | None:
    """The body model of `index` in the settings, for whoever takes photos in without its flags."""
    named = conf.flags.get("index", {}).get("body_model")
    return Path(named).expanduser() if isinstance(named, str) and named else None


def _pack(models: "StageModels", conf: Settings, notices: Notices, work: Work) -> "ModelPack | None":
    """The model pack of the faces, if it is here: bodies need nothing of it but what lies beside it."""
    name = models.pack or (models.faces_from.pack if models.faces_from is not None else "")
    if not name:
        return None
    try:
        find = partial(get_pack, known=models.faces_from, fetch=False, is_named=bool(models.pack))
        return find(name, conf, notices, work)
    except FacesetsError:
        return None
