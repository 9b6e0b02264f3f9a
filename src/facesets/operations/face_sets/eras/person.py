"""Find a person's faces of many years and their years, before a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facesets.clustering.people.splitting import Eras
from facesets.files import printable
from facesets.interfaces import Store
from facesets.operations.face_sets.eras.capture_years import CaptureYears, capture_years
from facesets.operations.face_sets.eras.era_faces import (
    Curated,
    EraFaces,
    Recovered,
    name_eras,
    read_curated,
    recover,
    split,
)
from facesets.operations.options.results import SplitErasOptions
from facesets.records import Collection, Float32, Int64
from facesets.results.earlier_export import EarlierExport
from facesets.work import Work


@dataclass(frozen=True, slots=True)
class EraRequest:
    """The face set to split, and where to look for faces.

    Attributes
    ----------
    out : Path
        The export.
    name : str
        The set in it to start from.
    roots : sequence of Path
        Folders of the person's photos; all photos of the store if none is given.
    years_cache : Path
        The file of capture years between runs.
    latest_year : int
        This year.
    force : bool
        Split even if the probe advises against it.
    """

    out: Path
    name: str
    roots: Sequence[Path]
    years_cache: Path
    latest_year: int
    force: bool = False


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """The result of the search, before anything is written.

    Attributes
    ----------
    of_face : int64 array
        The capture year of each recovered face.
    named : list of EraFaces
        The eras, largest first.
    """

    collection: Collection
    curated: Curated
    recovered: Recovered
    years: CaptureYears
    of_face: Int64
    eras: Eras
    named: list[EraFaces]

    @property
    def embeddings(self) -> Float32:
        """The embeddings of the recovered faces."""
        return self.collection.faces.embedding[self.recovered.rows]


def find_person(
    store: Store,
    earlier: EarlierExport,
    collection: Collection,
    request: EraRequest,
    options: SplitErasOptions,
    *,
    work: Work,
) -> FoundPerson:
    """Find a person's faces and their years, and cut them into eras; errors as `split_eras`."""
    curated = read_curated(earlier, request.name, collection)
    recovered = recover(collection, curated, request.roots, options, work.progress)
    images, place = np.unique(collection.faces.image[recovered.rows], return_inverse=True)
    cache, latest = request.years_cache, request.latest_year
    years = capture_years(collection.images, images, store.files(), cache, latest=latest, work=work)
    if years.sources.damaged_cache:
        work.progress.say(
            f"The stored capture years in {printable(cache)} were damaged, so they are read again."
        )
    of_face = years.year[place]
    eras = split(collection.faces.embedding[recovered.rows], of_face, options)
    named = name_eras(request.name, eras, recovered.rows, of_face)
    return FoundPerson(collection, curated, recovered, years, of_face, eras, named)
