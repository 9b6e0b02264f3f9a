"""`tags run`: tag a library with a CLIP pack or a service."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from facesets.assembly.describing import RequestedModels, clip_service
from facesets.errors import Command, WrongUsage
from facesets.library_records import TagTarget
from facesets.operations.options.index import IndexOptions
from facesets.result import Result
from facesets.settings import Settings
from facesets.work import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facesets.inference.clip_packs import ClipPack
    from facesets.interfaces import Describer
    from facesets.operations.ingest.stage_run import StageRunOptions
    from facesets.operations.ingest.tag_stages import Embed, Tagger
    from facesets.operations.library.tagging import EncodeTexts
    from facesets.records import Float32, Pixels
    from facesets.store.postgres.library import Library
    from facesets.work import Work

TARGET_OF: dict[str, TagTarget] = {"scene": "scene", "face-tags": "face"}
"""The subject of each tagging step: photos or faces."""


def text_encoder(pack: "ClipPack", conf: Settings) -> "Callable[[], EncodeTexts]":
    """Return the loader of a CLIP pack's text encoder."""

    def load() -> "EncodeTexts":
        from facesets.inference.clip_text import ClipTextual

        textual = ClipTextual(pack, threads=conf.cpus)
        return lambda texts: [textual.embedding(text) for text in texts]

    return load


def embed_by(describer: "Describer") -> "Embed":
    """Return the image encoder of a describer."""
    import numpy as np

    from facesets.records import Wanted

    def embed(pictures: "Sequence[Pixels]") -> "Float32":
        found = describer.describe(pictures, [Wanted(faces=False, clip=True)] * len(pictures))
        return np.array([each.clip for each in found], np.float32)

    return embed


def run_tags(
    stage: str,
    library: "Library",
    conf: Settings,
    asked: RequestedModels,
    options: "StageRunOptions",
    work: "Work",
) -> Result:
    """Tag the photos or faces of a library with the model that embedded most photos.

    Reads and decodes the photos of faces whose crops were not embedded yet.

    Raises
    ------
    WrongUsage
        No photo was embedded, or no category applies.
    MissingModelPack, RecognizerMismatch, DamagedFile, Unreachable
        The model is missing or another one, or the service does not answer.
    """
    from facesets.operations.library.tagging import tag_library
    from facesets.store.postgres.photos.tags import analyze_tags

    tagger, embed = _tagger_of_library(library, conf, asked, TARGET_OF[stage], work.stop)
    if tagger is None:
        about = "photos" if stage == "scene" else "faces"
        raise WrongUsage(f"There is no tag category for {about}. Add one with {Command('tags set', 'FILE')}.")
    if stage == "scene":
        summary = tag_library(library, tagger, options, work=work)
    else:
        summary = _tag_faces(library, tagger, embed(), options, work)
    if summary.completed:
        library.database.run(analyze_tags)
    return summary


def _tag_faces(
    library: "Library", tagger: "Tagger", embed: "Embed", options: "StageRunOptions", work: "Work"
) -> Result:
    from facesets.operations.ingest.stage_run import run_stage
    from facesets.operations.ingest.tag_stages import face_stage
    from facesets.operations.library.tagging import tag_library

    completed = 0
    if not options.force:
        known = tag_library(library, tagger, options, work=work)
        if known.stopped:
            return known
        completed = known.completed
        left = None if options.max_images is None else options.max_images - completed
        if options.dry_run and left is not None:
            left -= known.to_do
        options = replace(options, max_images=left)
    rest = run_stage(library, face_stage(tagger, embed), options, work=work)
    return Result(rest, completed=completed + rest.completed)


def _tagger_of_library(
    library: "Library", conf: Settings, asked: RequestedModels, target: TagTarget, stop: Stop
) -> "tuple[Tagger | None, Callable[[], Embed]]":
    """Return the tagger of the library's model, and the loader of its image encoder."""
    from facesets.inference.clip_image import ClipVisual
    from facesets.inference.clip_packs import USUAL_LOGIT_SCALE
    from facesets.inference.providers import choose_provider
    from facesets.operations.library.tagging import make_tagger
    from facesets.operations.models.clip_choice import pack_for_search, row_of_service

    known = library.clip_models()
    if asked.ml_uri:
        service, model = clip_service(library, asked, asked.ml_uri, stop)
        row = row_of_service(model, known, library.label)
        encode = partial(service.clip_texts, at_once=asked.workers or IndexOptions().concurrency)
        tagger = make_tagger(library, target, row.model, USUAL_LOGIT_SCALE, lambda: encode)
        return tagger, lambda: embed_by(service)
    pack, row = pack_for_search(asked.clip_pack, known, conf.model_roots, library.label)
    tagger = make_tagger(library, target, row.model, pack.logit_scale, text_encoder(pack, conf))

    def load() -> "Embed":
        return ClipVisual(pack, provider=choose_provider(asked.provider, pack.probe()).provider).embeddings

    return tagger, load
