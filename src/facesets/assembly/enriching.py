"""`enrich`: which models look at the faces of a store again."""

from contextlib import nullcontext

from facesets.assembly.models import make_attributes, make_embedder, make_landmarks, models_like
from facesets.assembly.notices import Notices
from facesets.assembly.packs import refuse_to_fetch_another
from facesets.interfaces import Store
from facesets.operations.ingest.enrich import enrich, refuse_other_models, require_models
from facesets.operations.ingest.norms import norms_tell
from facesets.operations.options.results import EnrichOptions
from facesets.remote.service_embedder import service_model
from facesets.result import Result
from facesets.settings import Settings
from facesets.work import Work


def enrich_store(
    store: Store,
    options: EnrichOptions,
    conf: Settings,
    notices: Notices,
    *,
    pack: str | None,
    provider: str,
    work: Work,
) -> Result:
    """Detect the faces of a store again with the pack that they come from, unless another is named.

    Raises
    ------
    As `enrich` and `models_like`.
    """
    known = require_models(store)
    is_local = service_model(known) is None
    if is_local:
        refuse_to_fetch_another(pack, known, conf, store.label)
    models, detection, choice = models_like(
        known, (pack, None, None), provider, conf, notices, work, fetch=not options.dry_run
    )
    finder = make_embedder(models, detection, choice)
    landmarks = make_landmarks(models, choice)
    attributes = make_attributes(models, choice) if store.kind == "cache" else None
    if is_local:
        refuse_other_models(store, finder.settings)
    with nullcontext() if options.dry_run else store.writing(known):
        return enrich(
            store, finder, landmarks, options, attributes=attributes, norms=norms_tell(known), work=work
        )
