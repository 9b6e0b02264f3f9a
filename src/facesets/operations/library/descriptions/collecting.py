"""What earlier runs left: batches that ended since, and what a killed run had begun."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice

from facesets.descriptions.asking import (
    Batches,
    BatchState,
    LostBatch,
    Outcome,
    Provider,
    Reply,
    by_start,
    content_of,
)
from facesets.errors import Command, Field, Sentence
from facesets.plurals import counted
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.photos import description_ledger
from facesets.store.postgres.photos.description_ledger import BatchJob, recall_uncounted
from facesets.work import Work

_SETTLED_AT_ONCE = 20
_GONE_AFTER_S = 30 * 86_400
"""No provider keeps the results of a batch for longer."""
UNSURE_FOR_S = 600.0
"""What was sent shows in a provider's list after so long at the latest."""

_NOT_FOR_SURE = "the program ended before its answer came; it may have been paid"
_LOST = "its batch is gone from the provider, and with it an answer that was paid"


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of earlier requests.

    Attributes
    ----------
    described, failed : int
        Photos.
    again : int
        Photos that nobody worked on, and that nobody paid: they are to be described again.
    under_way : int
        Photos in batches that have not ended.
    cost_usd : Decimal
        Of what came now.
    notes : list of str
        What a user should know.
    """

    described: int = 0
    failed: int = 0
    again: int = 0
    under_way: int = 0
    cost_usd: Decimal = Decimal(0)
    notes: list[str] = field(default_factory=list)

    def with_reply(self, reply: Reply, cost: Decimal | None) -> "Collected":
        """The same with one more."""
        counted_as = {Outcome.ANSWERED: "described", Outcome.FREE: "failed" if reply.lasting else "again"}
        name = counted_as.get(reply.outcome, "failed")
        return replace(self, **{name: getattr(self, name) + 1}, cost_usd=self.cost_usd + (cost or Decimal(0)))

    def plus(self, other: "Collected") -> "Collected":
        """Both together; what is under way is so as the other says."""
        return Collected(
            self.described + other.described,
            self.failed + other.failed,
            self.again + other.again,
            other.under_way,
            self.cost_usd + other.cost_usd,
            [*self.notes, *(note for note in other.notes if note not in self.notes)],
        )


def collect(
    database: Database,
    provider: Provider | None,
    *,
    give_up: bool = False,
    unsure_for_s: float = UNSURE_FOR_S,
    work: Work,
) -> Collected:
    """Keep what became of everything that was sent and not known to have ended. It sends no photo.

    Parameters
    ----------
    give_up : bool
        Batches that the provider does not know any more count as lost.

    Raises
    ------
    NotSent, WrongUsage
        The provider does not answer, or refuses. What came until then is kept.
    """
    found = Collected()
    jobs = database.run(description_ledger.open_jobs)
    known = database.run(description_ledger.known_batches)
    work.progress.begin("Collecting descriptions", sum(len(job.open) for job in jobs))
    try:
        for job in jobs:
            if work.stop.requested:
                found = replace(found, under_way=found.under_way + len(job.open))
            elif not job.open:
                database.run(description_ledger.end, job=job.id)
            elif not job.is_batch:
                found = _give_up_messages(database, job, found)
            elif provider is None or provider.batches is None or not _is_at(job, provider):
                found = _elsewhere(job, found)
            else:
                one = _OneBatch(database, provider.batches, job, found, work)
                found = one.collected(known, give_up=give_up, unsure_for_s=unsure_for_s)
    finally:
        work.progress.end()
    database.run(description_ledger.free_the_forgotten)
    database.run(recall_uncounted)
    return found


def _is_at(job: BatchJob, provider: Provider) -> bool:
    return (job.provider, job.place) == (provider.name, provider.place)


def _elsewhere(job: BatchJob, found: Collected) -> Collected:
    note = Sentence(
        f"{counted(len(job.open), 'photo')} are in a batch at {job.place}. Configure the provider "
        f"{job.provider} again, and run {Command('describe', Field('check_batches'))}."
    )
    return replace(found, under_way=found.under_way + len(job.open), notes=[*found.notes, note])


def _give_up_messages(database: Database, job: BatchJob, found: Collected) -> Collected:
    """What a killed run was asking photo by photo: nobody can say whether it was paid."""
    if job.price is not None and job.price.input == job.price.output == 0:

        def again(connection: Connection) -> None:
            description_ledger.withdraw(connection, job.id, job.open)
            description_ledger.end(connection, job.id)

        database.run(again)
        return replace(found, again=found.again + len(job.open))
    doubtful = Reply(Outcome.DOUBTFUL, reason=_NOT_FOR_SURE)

    def work(connection: Connection) -> None:
        for sha256 in job.open:
            description_ledger.settle(connection, job, job.id, sha256, doubtful)
        description_ledger.end(connection, job.id)

    database.run(work)
    note = Sentence(
        f"{counted(len(job.open), 'photo')} were being described when the program was ended. They may have "
        f"been paid, and are sent again only with {Field('retry_failed')}."
    )
    return replace(found, failed=found.failed + len(job.open), notes=[*found.notes, note])


@dataclass
class _OneBatch:
    """A batch of an earlier run."""

    database: Database
    batches: Batches
    job: BatchJob
    found: Collected
    work: Work

    def collected(self, known: frozenset[str], *, give_up: bool, unsure_for_s: float) -> Collected:
        """What was found so far, and this batch."""
        job = self.job
        remote_id = job.remote_id
        if remote_id is None:
            lost = LostBatch(job.key, job.requests, job.created_at, known)
            remote_id, sure = self.batches.find_batch(lost)
            if remote_id is not None:
                self.database.run(description_ledger.note_sent, job=job.id, remote_id=remote_id)
            elif sure and job.age_s >= unsure_for_s:
                return self._never_sent()
            else:
                return self._under_way(
                    "A batch may have been sent when the program was ended; the provider is asked again "
                    "later."
                )
        state = self.batches.batch_state(remote_id)
        if state is BatchState.UNDER_WAY:
            return self._under_way()
        if state is BatchState.UNKNOWN and not give_up and job.age_s < _GONE_AFTER_S:
            return self._under_way(
                f"{job.place} does not know the batch {remote_id}. Is the key that of another account? With "
                f"{Field('retry_failed')} its photos are given up, and sent and paid again."
            )
        if state is BatchState.ENDED:
            self._take_results(remote_id)
        if not self.work.stop.requested:
            self._end(None if state is BatchState.ENDED else Reply(Outcome.DOUBTFUL, reason=_LOST), remote_id)
        return self.found

    def _under_way(self, note: str = "") -> Collected:
        notes = [*self.found.notes, Sentence(note)] if note else self.found.notes
        under_way = self.found.under_way + len(self.job.open)
        return replace(self.found, under_way=under_way, notes=notes)

    def _never_sent(self) -> Collected:
        def work(connection: Connection) -> None:
            description_ledger.withdraw(connection, self.job.id, self.job.open)
            description_ledger.end(connection, self.job.id)

        self.database.run(work)
        return replace(self.found, again=self.found.again + len(self.job.open))

    def _take_results(self, remote_id: str) -> None:
        known = by_start(self.job.open)
        named = (
            (content_of(name, self.job.key, known), reply)
            for name, reply in self.batches.results(remote_id, self.job.key)
        )
        ours = ((sha256, reply) for sha256, reply in named if sha256 is not None)
        while some := list(islice(ours, _SETTLED_AT_ONCE)):
            self._settle(some)
            if self.work.stop.requested:
                return

    def _settle(self, replies: Sequence[tuple[str, Reply]]) -> None:
        def work(connection: Connection) -> list[tuple[bool, Decimal | None]]:
            return [
                description_ledger.settle(connection, self.job, self.job.id, sha256, reply)
                for sha256, reply in replies
            ]

        for (_, reply), (is_new, cost) in zip(replies, self.database.run(work), strict=True):
            if is_new:
                self.found = self.found.with_reply(reply, cost)
                self.work.progress.advance()

    def _end(self, left: Reply | None, remote_id: str) -> None:
        """What has no result by now has none; the provider says what that means where nothing else does."""
        jobs = self.database.run(description_ledger.open_jobs)
        still_open = [sha256 for job in jobs if job.id == self.job.id for sha256 in job.open]
        if still_open:
            reply = left or self.batches.without_result(remote_id)
            self._settle([(sha256, reply) for sha256 in still_open])
        self.database.run(description_ledger.end, job=self.job.id)
