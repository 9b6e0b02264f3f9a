"""The library, models, crops and background jobs that pages and API calls use."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from facesets.assembly.describing import RequestedModels, face_embedder, text_encoder
from facesets.assembly.stores import Sessions
from facesets.errors import Changed
from facesets.interfaces import Embedder
from facesets.library_records import ClipRow
from facesets.operations.people.assigning.prototypes import warm_prototypes
from facesets.operations.people.corrections.cluster_corrections import version_of
from facesets.records import Float32
from facesets.settings import Settings
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.people_list import refresh_totals
from facesets.store.postgres.people.persons import version_of_person
from facesets.store.postgres.people.steps import one_at_a_time
from facesets.web.background import Jobs, LoggedNotices
from facesets.web.crops import CropStore
from facesets.web.render import compile_templates
from facesets.work import Work

_WARMS_AFTER_S = 1.0
"""A pause, so that the first visitor has the processors alone."""
_LOOKS_WITHIN_S = 30
"""Time limit for one statement of a page or a search: longer ones would block a session."""


class Models:
    """The face models and the text model used last. Safe to use from threads.

    They are loaded on first use and stay loaded; loading takes a second.
    """

    def __init__(self) -> None:
        self.looking_again = ThreadPoolExecutor(1, "detection")
        """Where photos are detected again, one at a time: each uses a session and a processor."""
        self._lock = threading.Lock()
        self._faces: tuple[object, Embedder] | None = None
        self._words: tuple[object, tuple[ClipRow, Callable[[str], Float32]]] | None = None

    def faces(self, library: Library, settings: Settings, min_det_score: float) -> Embedder:
        """Return the library's face detection and recognition models with a minimum detector score.

        Raises
        ------
        MissingModelPack, DamagedFile, CannotInfer
            The library's models are not installed, or cannot be used.
        """
        key = library.settings, min_det_score
        with self._lock:
            if self._faces is None or self._faces[0] != key:
                asked = RequestedModels((None, None, min_det_score), provider="cpu", workers=1)
                embedder = face_embedder(library, settings, asked, LoggedNotices(), Work(), fetch=False)
                self._faces = key, embedder
            return self._faces[1]

    def words(self, library: Library, settings: Settings) -> Callable[[str], tuple[ClipRow, Float32]]:
        """Return a function that returns the library's CLIP model and a text's embedding.

        Raises
        ------
        WrongUsage
            No photo has a CLIP embedding yet, or only from a service.
        MissingModelPack, RecognizerMismatch, CannotInfer, DamagedFile
            The model is not installed, or cannot be used.
        """
        key = tuple(library.clip_models())
        with self._lock:
            if self._words is None or self._words[0] != key:
                self._words = key, text_encoder(library, settings)
            row, encode = self._words[1]

        def encoded(text: str) -> tuple[ClipRow, Float32]:
            with self._lock:
                return row, encode(text)

        return encoded


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that pages and API calls need.

    Attributes
    ----------
    by : str
        The author of changes made here, for the log of changes.
    is_hurried : bool
        Whether the library cancels slow statements: it does for reads (GET).
    is_counted : Event
        Set once the counts for the first page are ready.
    """

    sessions: Sessions
    crops: CropStore
    jobs: Jobs
    settings: Settings
    by: str
    is_hurried: bool = False
    models: Models = field(default_factory=Models)
    is_counted: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def library(self) -> Iterator[Database]:
        """Lend a session with the library for a block."""
        with self.sessions.lent() as session:
            if self.is_hurried:
                with session.requiring(_hurry):
                    yield session
            else:
                yield session

    def warm(self) -> None:
        """Prepare counts and caches, so that no visitor waits for them."""
        with self.sessions.own() as session:
            session.run(refresh_totals)
            compile_templates()
            self.is_counted.set()
            time.sleep(_WARMS_AFTER_S)
            warm_prototypes(session)

    @contextmanager
    def changing(self, *seen: "Seen") -> Iterator[Database]:
        """Lend a session for a change; raises `Changed` if what the user saw has changed."""

        def require(connection: Connection) -> None:
            # A reader of the version waits for a change in progress, but not until the end of a long run.
            connection.execute("SET LOCAL lock_timeout = '10s'")
            one_at_a_time(connection)
            for each in seen:
                each.require(connection)

        with self.sessions.lent() as session, session.requiring(require):
            yield session


@dataclass(frozen=True, slots=True)
class Seen:
    """A person or cluster in the version that the user saw; without a version, any is accepted."""

    who: UUID | str
    version: int | None

    def require(self, connection: Connection) -> None:
        """Check that the version is current. Raises `Changed`."""
        if self.version is None:
            return
        version: Callable[..., int] = version_of_person if isinstance(self.who, UUID) else version_of
        if version(connection, self.who) != self.version:
            raise Changed(
                "This was changed by another user, so nothing was saved. Review it, then try again."
            )


def _hurry(connection: Connection) -> None:
    connection.execute(f"SET LOCAL statement_timeout = '{_LOOKS_WITHIN_S}s'")


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return replace(site, is_hurried=True) if request.method == "GET" else site


SiteDep = Annotated[Site, Depends(_site)]
"""The parameter with which an endpoint gets the site."""
