"""`describe`: photos of the library to a language model, each sent once, none before the user agreed."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from facesets.descriptions.asking import STAGE, STAGE_VERSION, Estimate, Provider, estimate, most_of
from facesets.descriptions.prices import FREE
from facesets.errors import Command, Field, Sentence, WrongUsage
from facesets.installation import page
from facesets.library_records import PendingPhoto, PhotosOfStage
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.library.descriptions.collecting import UNSURE_FOR_S, Collected, collect
from facesets.operations.library.descriptions.questions import (
    Allowed,
    Budget,
    KnownOfPhoto,
    announcement,
    question_about,
)
from facesets.operations.library.descriptions.sending import Priced, Sender, Sent
from facesets.operations.options.library import DescribeOptions
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos import description_ledger
from facesets.store.postgres.photos.descriptions import all_faces, names_on, waiting_pixels
from facesets.store.postgres.photos.face_places import with_forgotten
from facesets.store.postgres.photos.known_files import images_with_faces, scanned_images
from facesets.work import Stop, Work

Agree = Callable[[Result], bool]
"""Shows what `announcement` says, and says whether it may happen."""

_PAGE = 100
_NOTES_LETTERS = 250


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """Photos that are handed over together, and how many it takes."""

    most: int = 100
    least: int = 10


def describe(
    library: Library,
    provider: Provider,
    prompt: str,
    below: tuple[str, ...],
    options: DescribeOptions,
    sizes: BatchSizes,
    *,
    agree: Agree,
    unsure_for_s: float = UNSURE_FOR_S,
    work: Work,
) -> Result:
    """Collect what earlier runs left, then send photos that have no description.

    The caller sees to it that only one run is at it.

    Raises
    ------
    WrongUsage
        A limit is given for a model without a price, or the provider refuses.
    NotSent
        The provider does not answer. What was done is kept.
    """
    if options.max_cost is not None:
        _require_a_bound(provider)
    collected = (
        Collected()
        if options.dry_run
        else collect(
            library.database, provider, give_up=options.retry_failed, unsure_for_s=unsure_for_s, work=work
        )
    )
    run = _Run(library, provider, prompt, below, options, sizes)
    there, planned, cost = run.plan()
    said = announcement(
        provider, planned, run.allowed, cost, in_batches=run.in_batches, max_cost=options.max_cost
    )
    summary = Result(
        _of_collected(collected),
        held_back=(there if options.max_images is None else min(there, options.max_images)) - planned,
        to_do=there,
        dry_run=options.dry_run,
        announced=said if planned else None,
    )
    if options.dry_run or not planned or work.stop.requested:
        return Result(summary, stopped=work.stop.requested)
    if not agree(said):
        return Result(summary, agreed=False)
    sent = run.send(planned, work)
    return _with_sent(summary, sent, run, there)


def _require_a_bound(provider: Provider) -> None:
    """Refuse a limit where nobody knows what a photo costs at most. Raises `WrongUsage`."""
    model = provider.model
    lacks = "price" if model.price is None else ""
    if provider.name == "openai" and model.picture_tokens is None and model.price not in (None, FREE):
        lacks = "picture_tokens"
    if lacks:
        what = "price" if lacks == "price" else "greatest count of tokens for a picture (picture_tokens)"
        raise WrongUsage(
            f"The {what} of {model.name or 'this model'} is not known, so that {Field('max_cost')} cannot be "
            f"held. Say it in facesets.toml (see {page('describe.md')}), or leave the limit out."
        )


class _Run:
    """Which photos are sent, and how."""

    def __init__(
        self,
        library: Library,
        provider: Provider,
        prompt: str,
        below: tuple[str, ...],
        options: DescribeOptions,
        sizes: BatchSizes,
    ) -> None:
        self._library = library
        self._provider = provider
        self._prompt = prompt
        self._photos = PhotosOfStage(STAGE, STAGE_VERSION, below, failed=options.retry_failed)
        self._options = options
        self.allowed = Allowed(options.blur_faces, options.send_names, options.send_place)
        self.in_batches = provider.batches is not None and not options.no_batch
        least = 1 if provider.batches is None else max(sizes.least, provider.batches.least)
        self._sizes = BatchSizes(max(sizes.most, least), least)
        self.budget = Budget(None if options.max_cost is None else Decimal(str(options.max_cost)))
        self.failures: list[FileFailure] = []

    def plan(self) -> tuple[int, int, Estimate]:
        """How many photos wait, how many of them are sent, and what that costs."""
        there = self._library.count_pending(self._photos)
        most = there if self._options.max_images is None else min(there, self._options.max_images)
        if self.in_batches and most % self._sizes.most < self._sizes.least:
            most -= most % self._sizes.most
        count, pixels = self._library.database.run(waiting_pixels, self._photos, most)
        letters = len(self._prompt) + _NOTES_LETTERS
        return there, count, estimate(self._provider.model, count, pixels, letters, in_batch=self.in_batches)

    def send(self, planned: int, work: Work) -> Sent:
        """Send so many photos, those of the lowest numbers first."""
        digest = hashlib.sha256(self._prompt.encode()).hexdigest()
        sender = Sender(
            self._library.database, self._provider, digest, self.budget, in_batches=self.in_batches
        )
        work.progress.begin("Describing", planned)
        try:
            questions = self._questions(planned, work.stop)
            if self.in_batches:
                sender.send_batches(questions, self._sizes.most, self._sizes.least, work)
            else:
                sender.ask_all(questions, work)
        finally:
            work.progress.end()
        return sender.sent

    def _questions(self, planned: int, stop: Stop) -> Iterator[Priced]:
        """What may be sent, one photo after the other."""
        after, left = 0, planned
        while left:
            photos = self._library.pending(self._photos, after=after, limit=min(_PAGE, left))
            if not photos:
                return
            after = photos[-1].number
            known = self._library.database.run(self._known, photos=photos)
            for photo in photos:
                if photo.number not in known:
                    continue
                if stop.requested:
                    return
                question = question_about(photo, self._prompt, self.allowed, known[photo.number])
                if isinstance(question, FileFailure):
                    # It stays pending, and keeps no other from its turn.
                    self.failures.append(question)
                    continue
                left -= 1
                yield question, most_of(self._provider.model, question, in_batch=self.in_batches)

    def _known(self, connection: Connection, photos: list[PendingPhoto]) -> dict[int, KnownOfPhoto]:
        """What is known of those that are not under way."""
        numbers = [photo.number for photo in photos]
        detector = self._library.detector(connection)
        searched: set[int] = set()
        if detector is not None:
            searched = scanned_images(connection, numbers, detector.id)
            searched |= images_with_faces(connection, numbers, detector.id)
        names = names_on(connection, numbers) if self.allowed.names else {}
        contents = [photo.image.sha256 for photo in photos]
        under_way = description_ledger.open_among(connection, contents)
        faces = all_faces(connection, numbers)
        forgotten = with_forgotten(connection, contents) if self.allowed.blur_faces else set()
        return {
            photo.number: KnownOfPhoto(
                names.get(photo.number, ()),
                photo.number in searched,
                faces[photo.number],
                photo.image.sha256 not in forgotten,
            )
            for photo in photos
            if photo.image.sha256 not in under_way
        }


def check_batches(
    library: Library,
    provider: Provider | None,
    options: DescribeOptions,
    *,
    interval_s: float,
    pause: Callable[[float], None],
    unsure_for_s: float = UNSURE_FOR_S,
    work: Work,
) -> Result:
    """Keep answers of batches that ended, once or until all have; sends no photo. Raises like `describe`."""
    found = Collected()
    while True:
        found = found.plus(
            collect(
                library.database, provider, give_up=options.retry_failed, unsure_for_s=unsure_for_s, work=work
            )
        )
        if not options.wait or not found.under_way or work.stop.requested:
            break
        pause(interval_s)
    waiting = library.count_pending(PhotosOfStage(STAGE, STAGE_VERSION))
    return Result(_of_collected(found), to_do=waiting, stopped=work.stop.requested)


def _of_collected(found: Collected) -> Result:
    """What a run did that sent nothing yet."""
    return Result(
        described=found.described,  # photos whose answer came, also from batches of earlier runs
        failed=found.failed,
        again=found.again,  # photos of earlier runs that nobody worked on or paid; they are pending again
        sent=0,  # in this run
        under_way=found.under_way,  # photos in batches that have not ended
        held_back=0,  # photos that wait for more, because too few make no batch
        unavailable=0,  # photos whose files are gone, changed or cannot be read; they stay pending
        to_do=0,
        cost_usd=float(found.cost_usd),  # of all answers that came
        under_way_usd=0.0,  # what this run sent in batches costs at most
        limit_reached=False,  # more would have passed the greatest cost
        agreed=True,
        stopped=False,
        dry_run=False,
        announced=None,
        failures=[],
        notes=found.notes,
    )


def _with_sent(summary: Result, sent: Sent, run: _Run, there: int) -> Result:
    notes = list(summary.notes)
    if sent.doubtful_batches:
        notes.append(
            Sentence(
                "It is not known whether the provider took the last batch. Its photos are not sent again "
                f"before that is: run {Command('describe', Field('check_batches'))} in ten minutes."
            )
        )
    if sent.cut_short and not sent.photos:
        notes.append(
            Sentence(
                f"{Field('max_cost')} allows {counted(sent.cut_short, 'photo')}, too few for a batch. Raise "
                f"it, or describe photos one by one with {Field('no_batch')}, for the full price."
            )
        )
    return Result(
        summary,
        described=summary.described + sent.described,
        failed=summary.failed + sent.failed,
        sent=sent.photos,
        under_way=summary.under_way + sent.in_batches,
        held_back=summary.held_back + sent.held_back,
        unavailable=len(run.failures),
        to_do=there - sent.photos,
        cost_usd=summary.cost_usd + float(run.budget.spent),
        under_way_usd=float(run.budget.under_way),
        limit_reached=run.budget.exhausted,
        stopped=sent.stopped,
        failures=run.failures,
        notes=notes,
    )
