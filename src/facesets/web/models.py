"""Models that answers need: loaded when somebody first asks for them, and kept; loading takes a second."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from facesets.assembly.describing import Asked, face_embedder, text_encoder
from facesets.interfaces import Embedder
from facesets.library_records import ClipRow
from facesets.records import Float32
from facesets.settings import Settings
from facesets.store.postgres.library import Library
from facesets.work import Work

_log = logging.getLogger("facesets.web")


class Models:
    """The last face models and the last words' model that were asked for. Safe to use from threads."""

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
                embedder = face_embedder(library, settings, asked, _Logged(), Work(), fetch=False)
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


class _Logged:
    """Notices for nobody but the log."""

    def notice(self, line: str) -> None:
        """Log a line."""
        _log.info("%s", line)

    remark = detail = notice

    def remark_once(self, line: str, *, unasked: bool = False) -> None:  # noqa: ARG002 - nobody looks on
        """Log a line."""
        self.notice(line)

    def says_again(self) -> bool:
        """Once is enough."""
        return False

    def is_stopping(self) -> bool:
        """Answers are not stopped."""
        return False
