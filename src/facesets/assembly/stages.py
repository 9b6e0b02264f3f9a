"""What is found out about photos beside faces and embeddings: from the names of stages to what does it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from facesets.assembly.bodies import make_bodies_stage
from facesets.assembly.models import make_attributes, make_landmarks
from facesets.assembly.notices import Notices
from facesets.assembly.packs import get_pack
from facesets.assembly.tags import make_face_stage, make_scene_stage
from facesets.errors import Command, WrongUsage
from facesets.interfaces import Describer
from facesets.operations.ingest.enrich import landmarks_stage
from facesets.operations.ingest.stages import Stage, attributes_stage, metadata_stage
from facesets.remote.service_embedder import service_model
from facesets.settings import Settings
from facesets.work import Work

if TYPE_CHECKING:
    from facesets.records import CacheSettings
    from facesets.store.postgres.library import Library


@dataclass(frozen=True, slots=True)
class StageModels:
    """Where stages get their models from.

    Attributes
    ----------
    faces_from : CacheSettings or None
        What faces come from; None where they are not looked for, or a service does that.
    pack : str or None
        The model pack of this machine that the user names; None for the one of the faces.
    provider : str
        Where models run.
    trust_mtime : bool
        Of no model, but of `metadata`: whether the time of a file's last change counts.
    describer : Describer or None
        What embeds the photos of the run.
    clip_pack : str or None
        The CLIP pack that the user names.
    body_model : Path or None
        The body model that the user names; None for one that lies where models do.
    at_once : int
        Requests to a service at a time.
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
"""Makes a stage; None where there is no model for it."""


def _metadata(models: StageModels, *_: object) -> Stage:
    return metadata_stage(lambda: np.datetime64("now", "us"), trust_mtime=models.trust_mtime)


def _attributes(models: StageModels, conf: Settings, notices: Notices, work: Work) -> Stage | None:
    from facesets.inference.providers import choose_provider

    known = models.faces_from
    if known is None or (models.pack is None and service_model(known) is not None):
        return None
    find = partial(get_pack, known=known, is_named=bool(models.pack))
    pack = find(models.pack or known.pack, conf, notices, work)
    made = make_attributes(pack, choose_provider(models.provider, pack.recogniser))
    return None if made is None else attributes_stage(made)


MAKERS: Mapping[str, Maker] = {
    "metadata": _metadata,
    "bodies": make_bodies_stage,
    "attributes": _attributes,
    "scene": make_scene_stage,
    "face-tags": make_face_stage,
}
"""What makes each stage that looks at photos."""


def stages_of_run(
    names: Sequence[str],
    models: StageModels,
    conf: Settings,
    notices: Notices,
    work: Work,
    *,
    enrich: bool = False,
) -> list[Stage]:
    """The stages that look at new photos, those of them for which there are models, in their order.

    Parameters
    ----------
    enrich : bool
        With landmarks and pose.

    Raises
    ------
    MissingModelPack, DamagedFile
        Models are not here that must be.
    """
    makers = [MAKERS[name] for name in names if name in MAKERS]
    made = [make(models, conf, notices, work) for make in makers]
    stages = [stage for stage in made if stage is not None]
    if enrich and models.faces_from is not None:
        stages.append(_landmarks(models, conf, notices, work))
    return stages


def stage_by_itself(name: str, models: StageModels, conf: Settings, notices: Notices, work: Work) -> Stage:
    """One stage, to look at photos of the library.

    Raises
    ------
    WrongUsage
        It cannot be done by itself, or there is no model for it.
    MissingModelPack, DamagedFile
        Models are not here that must be.
    """
    if name == "detection":
        raise WrongUsage(
            "Faces are found while photos are taken in. "
            f"Run {Command('index')} with the folders of the photos."
        )
    if name == "describe":
        raise WrongUsage(f"Photos are described by a command of their own. Run {Command('describe')}.")
    found = stages_of_run([name], models, conf, notices, work)
    if not found:
        raise WrongUsage(f"There is no model for the stage {name}. {Command('doctor')} says what is missing.")
    return found[0]


def _landmarks(models: StageModels, conf: Settings, notices: Notices, work: Work) -> Stage:
    from facesets.inference.providers import choose_provider

    if models.faces_from is None:
        raise ValueError("landmarks of no faces")
    known = models.faces_from
    find = partial(get_pack, known=known, is_named=bool(models.pack))
    pack = find(models.pack or known.pack, conf, notices, work)
    return landmarks_stage(make_landmarks(pack, choose_provider(models.provider, pack.recogniser)))
