"""What pages and calls work with: the library, models, pictures, and what runs in the background."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from facesets.assembly.describing import Asked, face_embedder, text_encoder
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
"""Whoever comes as soon as there is an address shares the processors with nobody."""
_LOOKS_WITHIN_S = 30
"""For one statement of a page or a search: longer ones would keep a session from everybody else."""


class Models:
    """The last face models and the last words' model that were asked for. Safe to use from threads.

    They are loaded when somebody first asks for them, and kept; loading takes a second.
    """

    def __init__(self) -> None:
        self.looking_again = ThreadPoolExecutor(1, "detection")
        """Where photos are looked at again, one at a time: each keeps a session and a processor meanwhile."""
        self._lock = threading.Lock()
        self._faces: tuple[object, Embedder] | None = None
        self._words: tuple[object, tuple[ClipRow, Callable[[str], Float32]]] | None = None

    def faces(self, library: Library, settings: Settings, min_det_score: float) -> Embedder:
        """What finds faces as those of the library were found, from that score on.

        Raises
        ------
        MissingModelPack, DamagedFile, CannotInfer
            The library's models are not on this machine, or cannot be used.
        """
        key = library.settings, min_det_score
        with self._lock:
            if self._faces is None or self._faces[0] != key:
                asked = Asked((None, None, min_det_score), provider="cpu", workers=1)
                embedder = face_embedder(library, settings, asked, LoggedNotices(), Work(), fetch=False)
                self._faces = key, embedder
            return self._faces[1]

    def words(self, library: Library, settings: Settings) -> Callable[[str], tuple[ClipRow, Float32]]:
        """What turns words into vectors of the library's CLIP model, which is given along.

        Raises
        ------
        WrongUsage
            No image was embedded yet, or only by a service.
        MissingModelPack, RecogniserMismatch, CannotInfer, DamagedFile
            The model is not on this machine, or cannot be used.
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
    """Everything that an answer may need.

    Attributes
    ----------
    by : str
        Who changes what is changed here, for the log of steps.
    is_hurried : bool
        Whether the library ends what takes too long: so it does while somebody only asks (GET).
    is_counted : Event
        Set once the first page takes no longer than any other.
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
        """A session with the library for the time of a block."""
        with self.sessions.lent() as session:
            if self.is_hurried:
                with session.requiring(_hurry):
                    yield session
            else:
                yield session

    def warm(self) -> None:
        """Count what pages show, so that no visitor waits for it; most of it once the first was answered."""
        with self.sessions.own() as session:
            session.run(refresh_totals)
            compile_templates()
            self.is_counted.set()
            time.sleep(_WARMS_AFTER_S)
            warm_prototypes(session)

    @contextmanager
    def changing(self, *seen: "Seen") -> Iterator[Database]:
        """A session in which nothing is changed if what was seen changed since; then `Changed` is raised."""

        def require(connection: Connection) -> None:
            # Who looks at a version waits for whoever is changing it; for a long run nobody waits to its end.
            connection.execute("SET LOCAL lock_timeout = '10s'")
            one_at_a_time(connection)
            for each in seen:
                each.require(connection)

        with self.sessions.lent() as session, session.requiring(require):
            yield session


@dataclass(frozen=True, slots=True)
class Seen:
    """Whom somebody saw, a person or a cluster, and in which version; without a version, anything goes."""

    who: UUID | str
    version: int | None

    def require(self, connection: Connection) -> None:
        """Make sure that they still are as they were seen. Raises `Changed`."""
        if self.version is None:
            return
        version: Callable[..., int] = version_of_person if isinstance(self.who, UUID) else version_of
        if version(connection, self.who) != self.version:
            raise Changed(
                "Somebody else changed this meanwhile. Nothing was done: look at it again, then decide."
            )


def _hurry(connection: Connection) -> None:
    connection.execute(f"SET LOCAL statement_timeout = '{_LOOKS_WITHIN_S}s'")


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return replace(site, is_hurried=True) if request.method == "GET" else site


SiteDep = Annotated[Site, Depends(_site)]
"""The parameter by which an endpoint gets the site."""
