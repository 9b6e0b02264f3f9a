"""Write images, their faces and embeddings, and their paths in one transaction."""

from collections.abc import Mapping, Sequence

import numpy as np

from facesets.errors import Field, WrongUsage
from facesets.file_records import FileRecord
from facesets.records import CacheSettings, ClipModel, Float32, ImageRecord
from facesets.store.postgres import models
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT2, INT8, copy_in, vector
from facesets.store.postgres.people.replaced_photos import pass_names_on
from facesets.store.postgres.photos import faces, image_paths, images, stages
from facesets.store.postgres.photos.description_ledger import recall
from facesets.store.postgres.photos.face_places import without_forgotten
from facesets.store.postgres.photos.known_files import images_with_faces, scanned_images
from facesets.store.postgres.photos.metadata import follow_names


def write(
    connection: Connection,
    new_files: Sequence[FileRecord],
    new_images: Sequence[ImageRecord],
    gallery_numbers: Mapping[str, int] | None = None,
    *,
    faces_from: CacheSettings | None,
    clip_from: ClipModel | None,
    replace: bool,
) -> None:
    """Store files and images; existing images stay unless they are replaced.

    Raises
    ------
    ValueError
        There are faces or embeddings, but their models were not given.
    WrongUsage
        As `_insert_embeddings`.
    """
    # If an image comes twice, the last record counts, in the place of the first.
    records = list({image.sha256: image for image in new_images}.values())
    ids, fresh = dict[str, int](), set[str]()
    if records:
        ids, fresh = images.store_images(connection, records)
        if fresh:
            recall(connection, list(fresh))
        searched = [image for image in records if image.searched]
        if searched:
            _write_faces(connection, searched, ids, fresh, faces_from, replace=replace)
        embedded = [(ids[image.sha256], image.clip) for image in records if image.clip is not None]
        if embedded:
            if clip_from is None:
                raise ValueError("embeddings of whole images without the model that they come from")
            _insert_embeddings(connection, clip_from, embedded, replace=replace)
        found = [(ids[image.sha256], image) for image in records]
        known = [] if replace else [ids[image.sha256] for image in records if image.sha256 not in fresh]
        stages.store_findings(connection, stages.without_known(connection, found, known))
        image_paths.link_paths(connection, [image.sha256 for image in records])
    if new_files:
        image_paths.store_paths(connection, new_files, ids, gallery_numbers)
        follow_names(connection, new_files, fresh)
        pass_names_on(connection, [file.path for file in new_files])


def write_findings(connection: Connection, new: Sequence[ImageRecord], detector_id: int | None) -> set[str]:
    """Store results of analysis steps for existing images.

    Results about faces that changed meanwhile are not stored. Returns the contents with stored results.
    """
    ids = images.numbers_of(connection, [image.sha256 for image in new])
    there = [(ids[image.sha256], image) for image in new if image.sha256 in ids]
    still_there = stages.of_faces_still_there(connection, there, detector_id)
    stages.store_findings(connection, still_there)
    return {image.sha256 for _, image in still_there}


def _write_faces(
    connection: Connection,
    records: Sequence[ImageRecord],
    ids: Mapping[str, int],
    fresh: set[str],
    faces_from: CacheSettings | None,
    *,
    replace: bool,
) -> None:
    if faces_from is None:
        raise ValueError("faces without the models that they come from")
    records = without_forgotten(connection, records)
    detector = models.ensure_detector(connection, faces_from)
    before = [ids[image.sha256] for image in records if image.sha256 not in fresh]
    scanned = scanned_images(connection, before, detector.id) if before else set()
    faced = images_with_faces(connection, before, detector.id) if before else set()
    empty = [
        (ids[image.sha256], image)
        for image in records
        if ids[image.sha256] not in scanned and ids[image.sha256] not in faced
    ]
    if empty:
        faces.insert_faces(connection, detector, empty)
    replaced = [
        (ids[image.sha256], image)
        for image in records
        if (ids[image.sha256] in faced and ids[image.sha256] not in scanned)
        or (replace and ids[image.sha256] in scanned)
    ]
    for number, image in replaced:
        faces.replace_faces(connection, detector, number, image.faces)
    known = set(before)
    with_others = [number for number, _ in empty + replaced if number in known]
    if with_others:
        stages.forget_stages_of_faces(connection, with_others)


def _insert_embeddings(
    connection: Connection, model: ClipModel, embeddings: Sequence[tuple[int, Float32]], *, replace: bool
) -> None:
    """Store the embeddings of images by number; existing ones stay unless replaced.

    Raises
    ------
    WrongUsage
        The vectors have another length than the model's earlier ones.
    """
    dimension = len(embeddings[0][1])
    number = models.ensure_model(connection, "clip", model.name, model.sha256, dimension)
    # After all embeddings of a model are deleted, their length no longer matters.
    connection.execute(
        """UPDATE models m SET dimension = %s WHERE id = %s AND dimension <> %s
            AND NOT EXISTS (SELECT FROM image_embeddings e WHERE e.model_id = m.id)""",
        (dimension, number, dimension),
    )
    known = connection.scalar("SELECT dimension FROM models WHERE id = %s", (number,))
    if known != dimension or any(len(each) != dimension for _, each in embeddings):
        raise WrongUsage(
            f"The CLIP model {model.name} now gives embeddings of {dimension} dimensions, unlike "
            f"before. Check that the model was not replaced, or skip it with {Field('skip_clip')}."
        )
    ids = [image_id for image_id, _ in embeddings]
    if replace:
        connection.execute(
            "DELETE FROM image_embeddings WHERE model_id = %s AND image_id = ANY(%s)", (number, ids)
        )
    there = connection.scalars(
        "SELECT image_id FROM image_embeddings WHERE model_id = %s AND image_id = ANY(%s)", (number, ids)
    )
    passed = set(there)
    new = [(image_id, each) for image_id, each in embeddings if image_id not in passed]
    if new:
        copy_in(
            connection,
            "COPY image_embeddings (image_id, model_id, embedding) FROM STDIN (FORMAT BINARY)",
            {"image_id": INT8, "model_id": INT2, "embedding": vector(dimension)},
            {
                "image_id": np.array([image_id for image_id, _ in new], np.int64),
                "model_id": np.full(len(new), number),
                "embedding": np.array([each for _, each in new], np.float32),
            },
        )
