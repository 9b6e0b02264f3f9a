"""Collect what earlier runs left: finished batches, and requests of killed runs."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.photos import description_ledger
from facesets.store.postgres.photos.description_ledger import BatchJob, recall_uncounted
from facesets.work import Work

_SETTLED_AT_ONCE = 20
_LOST_AFTER_S = 30 * 86_400
"""Age after which a batch is lost: no provider stores results for longer."""
UNSURE_FOR_S = 600.0
"""Maximum time until requests appear in a provider's list."""

_NOT_FOR_SURE = "the program ended before the answer arrived; it may have been charged"
_LOST = "the provider no longer has its batch; the answer was charged but is lost"


def collect(
    database: Database,
    provider: Provider | None,
    done: Result,
    *,
    give_up: bool = False,
    unsure_for_s: float = UNSURE_FOR_S,
    work: Work,
) -> None:
    """Save the results of everything sent by earlier runs. Sends no photo.

    Parameters
    ----------
    done : Result
        The result of `describe`, in which outcomes are counted.
    give_up : bool
        Count batches that the provider no longer knows as lost.

    Raises
    ------
    NotSent, WrongUsage
        The provider does not answer, or rejects the request. Earlier answers are stored.
    """
    jobs = database.run(description_ledger.open_jobs)
    known = database.run(description_ledger.known_batches)
    work.progress.begin("Collecting descriptions", sum(len(job.open) for job in jobs))
    try:
        for job in jobs:
            if work.stop.requested:
                _stays_under_way(done, job)
            elif not job.open:
                database.run(description_ledger.end, job=job.id)
            elif not job.is_batch:
                _give_up_messages(database, job, done)
            elif provider is None or provider.batches is None or not _is_at(job, provider):
                _stays_under_way(
                    done,
                    job,
                    f"{counted(len(job.open), 'photo')} are in a batch at {job.place}. Configure the "
                    f"provider {job.provider} again, then run "
                    f"{Command('describe', Field('check_batches'))}.",
                )
            else:
                one = _OneBatch(database, provider.batches, job, done, work)
                one.collect(known, give_up=give_up, unsure_for_s=unsure_for_s)
    finally:
        work.progress.end()
    database.run(description_ledger.reset_unsent)
    database.run(recall_uncounted)


def _is_at(job: BatchJob, provider: Provider) -> bool:
    return (job.provider, job.place) == (provider.name, provider.place)


def _stays_under_way(done: Result, job: BatchJob, note: str = "") -> None:
    done["under_way"] += len(job.open)
    if note:
        done.notes.append(Sentence(note))


def _never_sent(database: Database, job: BatchJob, done: Result) -> None:
    """Allow photos to be sent again that were neither processed nor charged."""
    database.run(description_ledger.withdraw_open, job.id, job.open)
    done["again"] += len(job.open)


def _give_up_messages(database: Database, job: BatchJob, done: Result) -> None:
    """Give up the single requests of a killed run; whether they were charged is unknown."""
    if job.price is not None and job.price.input == job.price.output == 0:
        _never_sent(database, job, done)
        return
    doubtful = Reply(Outcome.DOUBTFUL, reason=_NOT_FOR_SURE)

    def work(connection: Connection) -> None:
        for sha256 in job.open:
            description_ledger.settle(connection, job, job.id, sha256, doubtful)
        description_ledger.end(connection, job.id)

    database.run(work)
    done["failed"] += len(job.open)
    done.notes.append(
        Sentence(
            f"{counted(len(job.open), 'photo')} were being described when the program ended. They may "
            f"have been charged; to send them again, add {Field('retry_failed')}."
        )
    )


@dataclass
class _OneBatch:
    """A batch of an earlier run."""

    database: Database
    batches: Batches
    job: BatchJob
    done: Result
    work: Work

    def collect(self, known: frozenset[str], *, give_up: bool, unsure_for_s: float) -> None:
        """Save its results."""
        job = self.job
        remote_id = job.remote_id
        if remote_id is None:
            lost = LostBatch(job.key, job.requests, job.created_at, known)
            remote_id, sure = self.batches.find_batch(lost)
            if remote_id is None and sure and job.age_s >= unsure_for_s:
                _never_sent(self.database, job, self.done)
                return
            if remote_id is None:
                _stays_under_way(
                    self.done,
                    job,
                    "A batch may have been sent when the program ended; the provider will be asked "
                    "again later.",
                )
                return
            self.database.run(description_ledger.note_sent, job=job.id, remote_id=remote_id)
        state = self.batches.batch_state(remote_id)
        if state is BatchState.UNDER_WAY:
            _stays_under_way(self.done, job)
            return
        if state is BatchState.UNKNOWN and not give_up and job.age_s < _LOST_AFTER_S:
            _stays_under_way(
                self.done,
                job,
                f"{job.place} does not know the batch {remote_id}. Check that the key is of the same "
                "account. To send its photos again, which is charged again, add "
                f"{Field('retry_failed')}.",
            )
            return
        if state is BatchState.ENDED:
            self._take_results(remote_id)
        if not self.work.stop.requested:
            self._end(None if state is BatchState.ENDED else Reply(Outcome.DOUBTFUL, reason=_LOST), remote_id)

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
                failed = "again" if reply.outcome is Outcome.FREE and not reply.lasting else "failed"
                self.done["described" if reply.outcome is Outcome.ANSWERED else failed] += 1
                self.done["cost_usd"] += cost or Decimal(0)
                self.work.progress.advance()

    def _end(self, left: Reply | None, remote_id: str) -> None:
        """Settle requests without a result, by the provider's reason if there is no other."""
        jobs = self.database.run(description_ledger.open_jobs)
        still_open = [sha256 for job in jobs if job.id == self.job.id for sha256 in job.open]
        if still_open:
            reply = left or self.batches.without_result(remote_id)
            self._settle([(sha256, reply) for sha256 in still_open])
        self.database.run(description_ledger.end, job=self.job.id)
