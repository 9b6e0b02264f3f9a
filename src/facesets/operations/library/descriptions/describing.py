"""`describe`: send photos of the library to a language model, each once, after the user agreed."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from facesets.descriptions.asking import STAGE, STAGE_VERSION, Estimate, Provider, estimate, most_of
from facesets.descriptions.prices import FREE
from facesets.errors import Field, WrongUsage
from facesets.installation import page
from facesets.library_records import PendingPhoto, PhotosOfStage
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.library.descriptions.collecting import UNSURE_FOR_S, collect
from facesets.operations.library.descriptions.questions import (
    Budget,
    KnownOfPhoto,
    announcement,
    question_about,
)
from facesets.operations.library.descriptions.sending import Priced, Sender
from facesets.operations.options.library import DescribeOptions
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photos import description_ledger
from facesets.store.postgres.photos.descriptions import all_faces, names_on, waiting_pixels
from facesets.store.postgres.photos.face_places import with_forgotten
from facesets.store.postgres.photos.known_files import images_with_faces, scanned_images
from facesets.work import Stop, Work

Agree = Callable[[Result], bool]
"""Shows an `announcement` and returns whether the user agrees."""

_PAGE = 100
_NOTES_LETTERS = 250


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """Minimum and maximum number of photos of a batch."""

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

    The caller makes sure that only one run does this at a time.

    Raises
    ------
    WrongUsage
        A limit is given for a model without a price, or the provider rejects the request.
    NotSent
        The provider does not answer. Earlier results are stored.
    """
    if options.max_cost is not None:
        _require_a_bound(provider)
    done = _nothing_done(dry_run=options.dry_run)
    if not options.dry_run:
        collect(
            library.database,
            provider,
            done,
            give_up=options.retry_failed,
            unsure_for_s=unsure_for_s,
            work=work,
        )
    run = _Run(library, provider, prompt, below, options, sizes, done)
    there, planned, cost = run.plan()
    notice = announcement(provider, planned, options, cost, in_batches=run.in_batches)
    done["held_back"] = (there if options.max_images is None else min(there, options.max_images)) - planned
    if planned and not options.dry_run and not work.stop.requested:
        done["agreed"] = agree(notice)
        if done.agreed:
            run.send(planned, work)
    return Result(
        done,
        unavailable=len(done.failures),
        to_do=there - done.sent,
        cost_usd=float(done.cost_usd + run.budget.spent),
        under_way_usd=float(run.budget.under_way),
        limit_reached=run.budget.exhausted,
        stopped=done.agreed and work.stop.requested,
        announced=notice if planned else None,
    )


def _require_a_bound(provider: Provider) -> None:
    """Refuse a cost limit if the maximum cost of a photo is unknown. Raises `WrongUsage`."""
    model = provider.model
    lacks = "price" if model.price is None else ""
    if provider.name == "openai" and model.picture_tokens is None and model.price not in (None, FREE):
        lacks = "picture_tokens"
    if lacks:
        what = "price" if lacks == "price" else "maximum number of tokens for a photo (picture_tokens)"
        raise WrongUsage(
            f"The {what} of {model.name or 'this model'} is unknown, so {Field('max_cost')} cannot be "
            f"enforced. Set it in facesets.toml (see {page('describe.md')}), or remove the limit."
        )


class _Run:
    """One run: which photos are sent, and how."""

    def __init__(
        self,
        library: Library,
        provider: Provider,
        prompt: str,
        below: tuple[str, ...],
        options: DescribeOptions,
        sizes: BatchSizes,
        done: Result,
    ) -> None:
        self._library = library
        self._provider = provider
        self._prompt = prompt
        self._photos = PhotosOfStage(STAGE, STAGE_VERSION, below, failed=options.retry_failed)
        self._options = options
        self.in_batches = provider.batches is not None and not options.no_batch
        least = 1 if provider.batches is None else max(sizes.least, provider.batches.least)
        self._sizes = BatchSizes(max(sizes.most, least), least)
        self.budget = Budget(None if options.max_cost is None else Decimal(str(options.max_cost)))
        self._done = done

    def plan(self) -> tuple[int, int, Estimate]:
        """Return how many photos wait, how many will be sent, and the cost."""
        there = self._library.count_pending(self._photos)
        most = there if self._options.max_images is None else min(there, self._options.max_images)
        if self.in_batches and most % self._sizes.most < self._sizes.least:
            most -= most % self._sizes.most
        count, pixels = self._library.database.run(waiting_pixels, self._photos, most)
        letters = len(self._prompt) + _NOTES_LETTERS
        return there, count, estimate(self._provider.model, count, pixels, letters, in_batch=self.in_batches)

    def send(self, planned: int, work: Work) -> None:
        """Send this many photos, lowest numbers first."""
        digest = hashlib.sha256(self._prompt.encode()).hexdigest()
        sender = Sender(
            self._library.database,
            self._provider,
            digest,
            self.budget,
            self._done,
            in_batches=self.in_batches,
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

    def _questions(self, planned: int, stop: Stop) -> Iterator[Priced]:
        """Yield the questions to send, one per photo."""
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
                question = question_about(photo, self._prompt, self._options, known[photo.number])
                if isinstance(question, FileFailure):
                    # It stays pending, and does not block others.
                    self._done.failures.append(question)
                    continue
                left -= 1
                yield question, most_of(self._provider.model, question, in_batch=self.in_batches)

    def _known(self, connection: Connection, photos: list[PendingPhoto]) -> dict[int, KnownOfPhoto]:
        """Return what is known of the photos that are not being described already."""
        numbers = [photo.number for photo in photos]
        detector = self._library.detector(connection)
        searched: set[int] = set()
        if detector is not None:
            searched = scanned_images(connection, numbers, detector.id)
            searched |= images_with_faces(connection, numbers, detector.id)
        names = names_on(connection, numbers) if self._options.send_names else {}
        contents = [photo.image.sha256 for photo in photos]
        under_way = description_ledger.open_among(connection, contents)
        faces = all_faces(connection, numbers)
        forgotten = with_forgotten(connection, contents) if self._options.blur_faces else set()
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
    """Save the answers of finished batches, once or until all ended. Raises like `describe`."""
    done = _nothing_done()
    while True:
        notes, done["notes"], done["under_way"] = done.notes, [], 0
        collect(
            library.database,
            provider,
            done,
            give_up=options.retry_failed,
            unsure_for_s=unsure_for_s,
            work=work,
        )
        done["notes"] = [*notes, *(note for note in done.notes if note not in notes)]
        if not options.wait or not done.under_way or work.stop.requested:
            break
        pause(interval_s)
    waiting = library.count_pending(PhotosOfStage(STAGE, STAGE_VERSION))
    return Result(done, cost_usd=float(done.cost_usd), to_do=waiting, stopped=work.stop.requested)


def _nothing_done(*, dry_run: bool = False) -> Result:
    """Return the result of a run that has done nothing yet."""
    return Result(
        described=0,  # photos with an answer, also from batches of earlier runs
        failed=0,
        again=0,  # photos of earlier runs neither processed nor charged; they are pending again
        sent=0,  # in this run
        under_way=0,  # photos in batches that have not ended
        held_back=0,  # photos that wait for more, because too few make no batch
        unavailable=0,  # photos with missing, changed or unreadable files; they stay pending
        to_do=0,
        cost_usd=Decimal(0),  # of all answers that came
        under_way_usd=0.0,  # the maximum cost of this run's batches
        limit_reached=False,  # more would have passed the greatest cost
        agreed=True,
        stopped=False,
        dry_run=dry_run,
        announced=None,
        failures=[],
        notes=[],
    )
