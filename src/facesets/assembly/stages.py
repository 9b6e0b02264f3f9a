"""Make analysis steps from their names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from facesets.assembly.models import make_attributes, make_landmarks
from facesets.assembly.notices import Notices
from facesets.assembly.packs import get_pack
from facesets.assembly.tags import embed_by, text_encoder
from facesets.errors import Command, FacesetsError, WrongUsage
from facesets.files import printable
from facesets.interfaces import Describer
from facesets.library_records import TagTarget
from facesets.operations.ingest.enrich import landmarks_stage
from facesets.operations.ingest.stages import Stage, attributes_stage, metadata_stage
from facesets.remote.service_embedder import service_model
from facesets.settings import Settings
from facesets.work import Work

if TYPE_CHECKING:
    from facesets.inference.packs import ModelPack
    from facesets.operations.ingest.tag_stages import Tagger
    from facesets.records import CacheSettings
    from facesets.store.postgres.library import Library


@dataclass(frozen=True, slots=True)
class StageModels:
    """The models for analysis steps.

    Attributes
    ----------
    faces_from : CacheSettings or None
        Models that find the faces; None without a search for faces, or if a service finds them.
    pack : str or None
        The model pack of this machine that the user names; None for the one of the faces.
    provider : str
        Where models run.
    trust_mtime : bool
        For `metadata`: whether a file's modification time may stand for its capture time.
    describer : Describer or None
        The describer that embeds the photos of the run.
    clip_pack : str or None
        The CLIP pack that the user names.
    body_model : Path or None
        The body model that the user names; None for an installed one.
    at_once : int
        Maximum requests to a service at a time.
    """

    faces_from: "CacheSettings | None" = None
    pack: str | None = None
    provider: str = "auto"
    trust_mtime: bool = False
    library: "Library | None" = None
    describer: Describer | None = None
    clip_pack: str | None = None
    body_model: Path | None = None
    at_once: int = 1


Maker: TypeAlias = Callable[[StageModels, Settings, Notices, Work], Stage | None]
"""Makes a step; None without a model for it."""


def _metadata(models: StageModels, *_: object) -> Stage:
    return metadata_stage(lambda: np.datetime64("now", "us"), trust_mtime=models.trust_mtime)


def _attributes(models: StageModels, conf: Settings, notices: Notices, work: Work) -> Stage | None:
    from facesets.inference.providers import choose_provider

    known = models.faces_from
    if known is None or (models.pack is None and service_model(known) is not None):
        return None
    pack = _pack(known, models, conf, notices, work)
    made = make_attributes(pack, choose_provider(models.provider, pack.recognizer))
    return None if made is None else attributes_stage(made)


def _pack(
    known: "CacheSettings", models: StageModels, conf: Settings, notices: Notices, work: Work
) -> "ModelPack":
    """Return the model pack of the faces, or the one that the user names."""
    is_named = bool(models.pack)
    return get_pack(models.pack or known.pack, conf, notices, work, known=known, is_named=is_named)


def make_bodies_stage(models: StageModels, conf: Settings, notices: Notices, work: Work) -> Stage | None:
    """Make the step that finds bodies; None without a usable body model.

    Raises
    ------
    WrongUsage, DamagedFile, CannotInfer
        The body model that the user names is missing, invalid, or does not run on this machine.
    """
    from facesets.inference.bodies import BodyDetector
    from facesets.inference.body_models import find_body_model
    from facesets.inference.providers import PROVIDERS, choose_provider
    from facesets.operations.ingest.stages import bodies_stage

    pack = _installed_pack(models, conf, notices, work)
    named = models.body_model or _of_settings(conf)
    path = named or find_body_model(conf.model_roots, None if pack is None else pack.path)
    if path is None:
        return None
    notices.detail(f"Body model: {printable(path)}")
    if pack is not None:
        provider = choose_provider(models.provider, pack.recognizer).provider
    else:
        # There are no models to test an accelerator with.
        provider = PROVIDERS.get(models.provider, PROVIDERS["cpu"])
    try:
        return bodies_stage(BodyDetector(path, provider=provider))
    except FacesetsError as error:
        if named is not None:
            raise
        # An invalid file that the user did not name must not stop the run.
        notices.notice(f"Body detection is skipped. {error.sentence}")
        return None


def _of_settings(conf: Settings) -> Path | None:
    """Return the body model from the settings of `index`."""
    named = conf.flags.get("index", {}).get("body_model")
    return Path(named).expanduser() if isinstance(named, str) and named else None


def _installed_pack(models: StageModels, conf: Settings, notices: Notices, work: Work) -> "ModelPack | None":
    """Return the model pack of the faces, if it is installed."""
    name = models.pack or (models.faces_from.pack if models.faces_from is not None else "")
    if not name:
        return None
    try:
        find = partial(get_pack, known=models.faces_from, fetch=False, is_named=bool(models.pack))
        return find(name, conf, notices, work)
    except FacesetsError:
        return None


def _scene(models: StageModels, conf: Settings, *_: object) -> Stage | None:
    """Make the step that tags new photos; None if photos or texts cannot be embedded."""
    from facesets.operations.ingest.tag_stages import scene_stage

    tagger = _tagger_of_run(models, conf, "scene")
    return None if tagger is None else scene_stage(tagger)


def _face_tags(models: StageModels, conf: Settings, *_: object) -> Stage | None:
    """Make the step that tags faces of new photos; None if they cannot be embedded."""
    from facesets.operations.ingest.tag_stages import face_stage

    tagger = _tagger_of_run(models, conf, "face")
    if tagger is None or models.describer is None:
        return None
    return face_stage(tagger, embed_by(models.describer))


def _tagger_of_run(models: StageModels, conf: Settings, target: TagTarget) -> "Tagger | None":
    from facesets.inference.clip_packs import USUAL_LOGIT_SCALE
    from facesets.operations.library.tagging import make_tagger
    from facesets.operations.models.clip_choice import pack_for_index
    from facesets.remote.service_embedder import ServiceEmbedder

    library, describer = models.library, models.describer
    if library is None or describer is None or describer.clip_from is None:
        return None
    if isinstance(describer, ServiceEmbedder):
        encode = partial(describer.clip_texts, at_once=models.at_once)
        return make_tagger(library, target, describer.clip_from, USUAL_LOGIT_SCALE, lambda: encode)
    pack = pack_for_index(models.clip_pack, library.clip_models(), conf.model_roots)
    if pack is None or not pack.knows_texts:
        return None
    return make_tagger(library, target, pack.model, pack.logit_scale, text_encoder(pack, conf))


MAKERS: Mapping[str, Maker] = {
    "metadata": _metadata,
    "bodies": make_bodies_stage,
    "attributes": _attributes,
    "scene": _scene,
    "face-tags": _face_tags,
}
"""The makers of all analysis steps."""


def stages_of_run(
    names: Sequence[str],
    models: StageModels,
    conf: Settings,
    notices: Notices,
    work: Work,
    *,
    enrich: bool = False,
) -> list[Stage]:
    """Return the steps for new photos that have models, in order.

    Parameters
    ----------
    enrich : bool
        Whether to add landmarks and pose.

    Raises
    ------
    MissingModelPack, DamagedFile
        Required models are missing or damaged.
    """
    makers = [MAKERS[name] for name in names if name in MAKERS]
    made = [make(models, conf, notices, work) for make in makers]
    stages = [stage for stage in made if stage is not None]
    known = models.faces_from
    if enrich and known is not None:
        from facesets.inference.providers import choose_provider

        pack = _pack(known, models, conf, notices, work)
        provider = choose_provider(models.provider, pack.recognizer)
        stages.append(landmarks_stage(make_landmarks(pack, provider)))
    return stages


def stage_by_itself(name: str, models: StageModels, conf: Settings, notices: Notices, work: Work) -> Stage:
    """Return one step for photos of the library.

    Raises
    ------
    WrongUsage
        The step cannot run by itself, or there is no model for it.
    MissingModelPack, DamagedFile
        Required models are missing or damaged.
    """
    if name == "detection":
        raise WrongUsage(
            f"Faces are detected when photos are added. Run {Command('index')} with the photo folders."
        )
    if name == "describe":
        raise WrongUsage(f"Describing photos is a separate command. Run {Command('describe')}.")
    found = stages_of_run([name], models, conf, notices, work)
    if not found:
        raise WrongUsage(
            f"There is no model for the analysis step {name}. To see what is missing, run "
            f"{Command('doctor')}."
        )
    return found[0]
