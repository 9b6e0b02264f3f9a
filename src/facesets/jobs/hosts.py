"""The abilities of this host, and the jobs it takes."""

import os
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from facesets.assembly.commands import Needs
from facesets.assembly.language_models import chosen_provider
from facesets.assembly.models import detection_options
from facesets.assembly.notices import Notices
from facesets.assembly.packs import get_pack
from facesets.errors import Command, FacesetsError, Field
from facesets.files import printable
from facesets.installation import lacks_extra
from facesets.jobs.queueing import read_needs
from facesets.jobs.trials import BeingTried, TriedDrives, TriedServices
from facesets.path_map import SAME_PATHS, PathMap
from facesets.records import CacheSettings
from facesets.remote.service_embedder import service_model
from facesets.settings import LlmSettings, Settings
from facesets.store.postgres.library import Library
from facesets.store.postgres.queue.notes import QueueState, note_taker
from facesets.work import Work

_ASKED_AGAIN_AFTER_S = 15.0


@dataclass(frozen=True, slots=True)
class Host:
    """The abilities of a worker's host.

    Attributes
    ----------
    name : str
    commands : tuple of str
        Only jobs of these are taken; none for all.
    paths : PathMap
        The library's folders on this host.
    ml_uri : str or None
        A service that runs the models in place of this host.
    gpu : str
        The provider of its GPU; then only jobs that need models are taken. Empty without `--gpu`.
    """

    name: str
    conf: Settings
    llm: LlmSettings
    notices: Notices
    commands: tuple[str, ...] = ()
    paths: PathMap = SAME_PATHS
    ml_uri: str | None = None
    gpu: str = ""
    services: TriedServices = field(default_factory=TriedServices)
    drives: TriedDrives = field(default_factory=TriedDrives)

    def lacks(self, command: str, needs: Needs, library: Library) -> str:
        """Return why this host cannot take a job; empty if it can."""
        if self.commands and not any(
            command == each or command.startswith(f"{each} ") for each in self.commands
        ):
            return f"{Command('worker', Field('jobs'))} excludes it"
        if self.gpu and not needs.models:
            return "it needs no models"
        if needs.files and self.paths.pairs:
            return "it needs photos at the paths of the library, which are mapped elsewhere on this host"
        for folder in needs.folders:
            if lacking := self.drives.lacks_folder(self.paths.here(folder)):
                return lacking
        if needs.extra and lacks_extra(needs.extra):
            return f"the optional dependency {needs.extra} is not installed"
        if needs.language_model and not self._has_language_model():
            return "no language model is configured"
        return self.lacks_models(needs, library) if needs.models or needs.service else ""

    def _has_language_model(self) -> bool:
        try:
            return bool(chosen_provider(self.llm, None))
        except FacesetsError:
            return False

    def lacks_models(self, needs: Needs, library: Library) -> str:
        """Return why the models of a job cannot run here or at a service; empty if they can."""
        if needs.service or (self.ml_uri and not needs.here):
            return self.services.lacks(self.ml_uri, needs, library)
        known = library.settings
        of_service = service_model(known) if known is not None else None
        if of_service is not None and not needs.pack and not needs.here:
            service = Command("worker", Field("ml_uri", "URL"))
            return (
                f"the library's faces come from the model {printable(of_service)} of a "
                f"machine-learning service; give its address with {service}"
            )
        own = known if of_service is None else None
        find_out = partial(self._lacks_pack, needs.pack or None, own)
        return self.drives.lacks(("pack", needs.pack, own), find_out, "the folder of models")

    def _lacks_pack(self, named: str | None, known: CacheSettings | None) -> str:
        """Return why the named pack, else that of the library, is not installed; empty if it is."""
        chosen = detection_options(known, named, None, None, self.conf)
        try:
            find = partial(get_pack, known=known, fetch=False, is_named=bool(named))
            find(chosen.pack, self.conf, self.notices, Work())
        except FacesetsError:
            return f"the model pack {printable(chosen.pack)} is not installed"
        return ""


def announced(host: Host, library: Library) -> list[str]:
    """Describe a worker at its start: job types, paths and models."""
    takes = ", ".join(host.commands) if host.commands else "all job types"
    lines = [f"Worker {host.name} ready ({takes})."]
    lines += [f"Photos of {printable(known)} are in {printable(here)}." for known, here in host.paths.pairs]
    if host.gpu:
        lines.append(f"Models run on the GPU ({host.gpu}); jobs without models are left to other workers.")
    lacking = host.lacks_models(Needs(models=True), library)
    if isinstance(lacking, BeingTried):
        return [*lines, f"Jobs that need the library's models wait for now: {lacking}."]
    if lacking:
        return [*lines, f"Jobs that need the library's models are left to other workers: {lacking}."]
    where = f"at the service of {Field('ml_uri')}" if host.ml_uri else "here"
    return [*lines, f"The library's models run {where}."]


@dataclass(slots=True)
class Choice:
    """The queues that a host takes jobs from, and why not from others; recorded in the library.

    Checked again after a while, because folders come and go.

    Attributes
    ----------
    knows : collection of str
        The commands of this version of the program.
    """

    host: Host
    library: Library
    knows: Collection[str]
    worker: str = field(default_factory=lambda: f"{platform.node()}/{os.getpid()}")
    _asked: dict[str, tuple[float, str]] = field(default_factory=dict)
    _is_open: bool = False

    def of(self, waiting: Sequence[QueueState], now_s: float) -> list[str]:
        """Return the queues that this host takes from; report once why it skips others."""
        self._is_open = False
        return [queue.name for queue in waiting if not self._reason(queue, now_s)]

    @property
    def is_open(self) -> bool:
        """Whether it is still being checked if this host can take from more queues."""
        return self._is_open

    def _reason(self, queue: QueueState, now_s: float) -> str:
        asked_at, before = self._asked.get(queue.name, (-_ASKED_AGAIN_AFTER_S, ""))
        if now_s - asked_at < _ASKED_AGAIN_AFTER_S:
            return before
        command = queue.name.rpartition("/")[0]
        reason = self._lacks(command, queue.needs)
        if isinstance(reason, BeingTried):
            # Checked again the next time, because a trial may end at any time.
            self._is_open = True
            now_s -= _ASKED_AGAIN_AFTER_S
        elif reason and reason != before:
            self.host.notices.remark(f"Left to other workers: {command}, because {reason}.")
        self._asked[queue.name] = (now_s, reason)
        taker = (queue.name, self.worker, self.host.name, reason)
        self.library.database.run(lambda connection: note_taker(connection, *taker))
        return reason

    def _lacks(self, command: str, needs: Mapping[str, Any]) -> str:
        """Return why the host cannot take a job, perhaps of a newer version; empty if it can."""
        if command not in self.knows:
            return "this version of facesets does not know it"
        try:
            read = read_needs(needs)
        except msgspec.ValidationError:
            return "this version of facesets does not know its needs"
        return self.host.lacks(command, read, self.library)
