"""Tag the photos and faces of a library by their stored embeddings."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from facesets.errors import CannotInfer
from facesets.files import printable
from facesets.inference.zero_shot import TagVectors, text_vectors
from facesets.library_records import PhotosOfStage, StoredCategory, TagTarget
from facesets.operations.ingest.stage_run import StageRunOptions, before_a_stage, look_in_turn
from facesets.operations.ingest.tag_stages import Tagger, tags_version
from facesets.operations.library.tag_file import shipped_categories
from facesets.records import ClipModel, Finding, Float32
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import clip_models, ensure_model, find_clip_model
from facesets.store.postgres.photos.stages import count_pending, note
from facesets.store.postgres.photos.tagging import (
    EmbeddedBy,
    StoredVectors,
    count_to_tag,
    embeddings_of,
    images_to_tag,
    store_categories,
    store_vectors,
    stored_categories,
    stored_vectors,
)
from facesets.store.postgres.photos.tags import TagRows, replace_tags
from facesets.work import Work

EncodeTexts: TypeAlias = Callable[[Sequence[str]], Sequence[Float32]]
"""Returns the embeddings of texts by a CLIP model."""

_AT_ONCE = 2_000
"""Number of photos tagged in one transaction."""


def ensure_categories(connection: Connection, target: TagTarget | None = None) -> list[StoredCategory]:
    """Return the categories of a library, adding the shipped ones if it has none."""
    if not stored_categories(connection):
        store_categories(connection, shipped_categories())
    return stored_categories(connection, target)


def make_tagger(
    library: Library,
    target: TagTarget,
    model: ClipModel,
    logit_scale: float,
    text_encoder: Callable[[], EncodeTexts],
) -> Tagger | None:
    """Make a tagger of photos or faces for a model; None without a category for them.

    The embeddings of prompts are computed if they are missing or the prompts changed.

    Parameters
    ----------
    text_encoder : function
        Loads the text encoder of the model, which encodes all at once; called only if needed.

    Raises
    ------
    CannotInfer
        A text cannot be embedded, or its embedding has another length than earlier ones.
    """
    stored = library.database.run(ensure_categories, target)
    if not stored:
        return None
    known = library.database.run(_known_vectors, model)
    vectors: dict[int, Float32] = {}
    changed: list[StoredCategory] = []
    for each in stored:
        found = known.get(each.number)
        if found is not None and found.prompts_sha256 == each.category.prompts_sha256:
            vectors[each.number] = found.vectors
        else:
            changed.append(each)
    vectors |= _made_vectors(changed, text_encoder)
    dimensions = {made.shape[1] for made in vectors.values()}
    if len(dimensions) > 1:
        raise CannotInfer(
            f"The CLIP model {printable(model.name)} gives text embeddings of different sizes. Check "
            "that the model was not replaced."
        )
    dimension = dimensions.pop()

    def store(connection: Connection) -> None:
        number = ensure_model(connection, "clip", model.name, model.sha256, dimension)
        for each in stored:
            now = StoredVectors(each.category.prompts_sha256, logit_scale, vectors[each.number])
            if each.number not in known or known[each.number][:2] != now[:2]:
                store_vectors(connection, number, each.number, now)

    library.database.run(store)
    return Tagger(
        target,
        model,
        dimension,
        logit_scale,
        tuple(stored),
        tuple(TagVectors(each.category, each.tags, vectors[each.number]) for each in stored),
    )


def _made_vectors(
    categories: Sequence[StoredCategory], text_encoder: Callable[[], EncodeTexts]
) -> dict[int, Float32]:
    """Return the embeddings of the prompts, by category number."""
    texts = list(
        dict.fromkeys(text for each in categories for some in each.category.prompts() for text in some)
    )
    if not texts:
        return {}
    by_text = dict(zip(texts, text_encoder()(texts), strict=True))
    return {each.number: text_vectors(each.category, by_text.__getitem__) for each in categories}


def _known_vectors(connection: Connection, model: ClipModel) -> dict[int, StoredVectors]:
    number = find_clip_model(connection, model)
    return {} if number is None else stored_vectors(connection, number)


def current_version(connection: Connection, target: TagTarget) -> str:
    """Return the current tagging version; empty before the first tagging of these categories."""
    stored = stored_categories(connection, target)
    for row in clip_models(connection)[:1]:
        vectors = stored_vectors(connection, row.id)
        scales = [vectors[each.number].logit_scale for each in stored if each.number in vectors]
        if scales:
            return tags_version(row.model, scales[0], stored)
    return ""


def tag_library(library: Library, tagger: Tagger, options: StageRunOptions, *, work: Work) -> Result:
    """Tag photos or faces by their stored embeddings, without reading photos.

    For a photo that was tagged before, only changed categories are tagged again. `unavailable` counts photos
    that have no such embedding.
    """
    photos = options.photos_of(tagger.stage, tagger.version)
    by = library.database.run(lambda connection: _embedded_by(library, connection, tagger))

    def count(connection: Connection) -> tuple[int, int]:
        return count_to_tag(connection, photos, tagger.target, by), count_pending(connection, photos)

    there, pending = library.database.run(count)
    summary = Result(before_a_stage(tagger.stage), unavailable=pending - there)

    def tag(after: int, limit: int) -> list[int]:
        numbers = library.database.run(_tag_some, tagger, photos, by, after, limit, all_=options.force)
        summary["completed"] += len(numbers)
        return numbers

    return look_in_turn(there, summary, options, tag, at_once=_AT_ONCE, work=work)


def _embedded_by(library: Library, connection: Connection, tagger: Tagger) -> EmbeddedBy:
    model = tagger.model
    number = ensure_model(connection, "clip", model.name, model.sha256, tagger.dimension)
    detector = library.detector(connection)
    return EmbeddedBy(number, tagger.dimension, None if detector is None else detector.id)


def _tag_some(
    connection: Connection,
    tagger: Tagger,
    photos: PhotosOfStage,
    by: EmbeddedBy,
    after: int,
    limit: int,
    *,
    all_: bool,
) -> list[int]:
    """Tag the next photos and return their numbers."""
    found = images_to_tag(connection, photos, tagger.target, by, after=after, limit=limit)
    if not found:
        return []
    numbers = [number for number, _ in found]
    image, owner, vectors = embeddings_of(connection, tagger.target, by, numbers)
    for version in dict.fromkeys(version for _, version in found):
        changed = list(range(len(tagger.categories))) if all_ else tagger.changed_since(version)
        rows = np.flatnonzero(np.isin(image, [number for number, before in found if before == version]))
        if not changed or not len(rows):
            continue
        made = tagger.some(changed).tags(vectors[rows])
        replace_tags(
            connection,
            tagger.target,
            by.model_id,
            owner[rows].tolist(),
            [tagger.categories[place].number for place in changed],
            TagRows(owner[rows][made.row].tolist(), made.tag.tolist(), made.confidence.tolist()),
        )
    finding = Finding(tagger.version)
    note(connection, tagger.stage, [(number, finding) for number in numbers])
    return numbers
