"""Send photos to a provider, one by one or in batches: recorded first, then sent, then settled."""

import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from typing import TypeAlias

from facesets.descriptions.asking import Doubtful, NotSent, Outcome, PhotoQuestion, Provider, Reply
from facesets.errors import Command, Field, Sentence, WrongUsage
from facesets.operations.library.descriptions.questions import Budget
from facesets.plurals import counted
from facesets.result import Result
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.photos import description_ledger
from facesets.store.postgres.photos.description_ledger import NewJob
from facesets.work import Stop, Work

Priced: TypeAlias = tuple[PhotoQuestion, Decimal | None]
"""A question, and its maximum cost."""

_MAX_BYTES = 150_000_000
"""Maximum bytes of the pictures of one batch, whose text may have at most 256 MB."""
_REFUSED_IN_A_ROW = 5
"""Consecutive refused requests after which the photos are not the cause."""


class Sender:
    """Sends photos to one provider, within a budget."""

    def __init__(
        self,
        database: Database,
        provider: Provider,
        prompt: str,
        budget: Budget,
        done: Result,
        *,
        in_batches: bool,
    ) -> None:
        """Prepare to send; `prompt` is the digest of the prompt, `done` counts the results."""
        self._database = database
        self._provider = provider
        self._prompt = prompt
        self._budget = budget
        self._done = done
        self._in_batches = in_batches
        self._refused = 0
        self._has_answer = False
        self._next: Priced | None = None
        self._is_too_dear = False

    def ask_all(self, questions: Iterator[Priced], work: Work) -> None:
        """Send photos one by one, a few in parallel. Raises `NotSent`, `WrongUsage`."""
        job = self._new_job()
        number = self._database.run(description_ledger.begin, job=job)
        at_once = self._provider.at_once
        try:
            with ThreadPoolExecutor(at_once, thread_name_prefix="describe") as pool:
                while not work.stop.requested and (some := self._affordable(questions, at_once)):
                    self._ask(job, number, some, pool, work.stop)
                    work.progress.advance(len(some))
        finally:
            # Also after a failure: requests still open then are uncertain, and the next run checks them.
            if self._is_settled(number):
                self._database.run(description_ledger.end, job=number)

    def _ask(
        self, job: NewJob, number: int, some: Sequence[Priced], pool: ThreadPoolExecutor, stop: Stop
    ) -> None:
        most = {question.sha256: usd for question, usd in some}
        self._database.run(description_ledger.note_open, job=number, most=most)
        pending = [(question, pool.submit(self._provider.ask, question)) for question, _ in some]
        problem: NotSent | WrongUsage | None = None
        for question, future in pending:
            reply = _reply_or_problem(future)
            if isinstance(reply, Reply):
                self._settle(job, number, question.sha256, most[question.sha256], reply)
                continue
            problem = reply
            self._database.run(description_ledger.withdraw, number=number, sha256=[question.sha256])
            self._budget.give_back(most[question.sha256])
        if problem is not None and not stop.requested:
            raise problem
        if self._refused >= _REFUSED_IN_A_ROW and not self._has_answer:
            raise WrongUsage(
                f"{self._provider.place} refused several photos in a row, at no cost. "
                f"{Command('stats', Field('stages'))} shows why."
            )

    def _settle(self, job: NewJob, number: int, sha256: str, most: Decimal | None, reply: Reply) -> None:
        _, cost = self._database.run(description_ledger.settle, job, number, sha256, reply)
        self._budget.settle(most, cost)
        is_answer = reply.outcome is Outcome.ANSWERED
        self._done["sent"] += 1
        self._done["described" if is_answer else "failed"] += 1
        self._has_answer = self._has_answer or is_answer
        self._refused = self._refused + 1 if reply.outcome is Outcome.FREE else 0

    def _is_settled(self, number: int) -> bool:
        jobs = self._database.run(description_ledger.open_jobs)
        return not any(job.open for job in jobs if job.id == number)

    def send_batches(self, questions: Iterator[Priced], most: int, least: int, work: Work) -> None:
        """Send the batches, one by one. Raises `NotSent`, `WrongUsage`."""
        while not work.stop.requested:
            some = self._affordable(questions, most)
            if len(some) < least or work.stop.requested:
                for _, usd in some:
                    self._budget.give_back(usd)
                # More photos would not help if the limit ended the batch.
                self._budget.exhausted = self._is_too_dear and len(some) < least
                if not self._budget.exhausted:
                    self._done["held_back"] += len(some)
                elif some and not self._done.sent:
                    self._done.notes.append(_too_few(len(some)))
                break
            if not self._send_batch(some):
                break
            work.progress.advance(len(some))

    def _send_batch(self, some: Sequence[Priced]) -> bool:
        """Send a batch; return whether to continue."""
        batches = self._provider.batches
        if batches is None:
            raise ValueError("a provider without batches")
        job = self._new_job()
        most = {question.sha256: usd for question, usd in some}

        def intend(connection: Connection) -> int:
            number = description_ledger.begin(connection, job)
            description_ledger.note_open(connection, number, most)
            return number

        number = self._database.run(intend)
        try:
            remote_id = batches.send_batch(job.key, [question for question, _ in some])
        except Doubtful:
            self._count(len(some))
            self._done.notes.append(_doubtful())
            return False
        except (NotSent, WrongUsage):
            self._database.run(description_ledger.withdraw_open, number, list(most))
            for usd in most.values():
                self._budget.give_back(usd)
            raise
        self._database.run(description_ledger.note_sent, job=number, remote_id=remote_id)
        self._count(len(some))
        return True

    def _affordable(self, questions: Iterator[Priced], most: int) -> list[Priced]:
        """Return the next questions, as many as budget and batch size allow."""
        some: list[Priced] = []
        size = 0
        self._is_too_dear = False
        while len(some) < most and (one := self._next or next(questions, None)) is not None:
            self._next = one
            size += len(one[0].jpeg)
            if some and size > _MAX_BYTES:
                break
            if not self._budget.take(one[1]):
                self._is_too_dear = True
                break
            self._next = None
            some.append(one)
        self._budget.exhausted = self._is_too_dear and not some
        return some

    def _count(self, photos: int) -> None:
        self._done["sent"] += photos
        self._done["under_way"] += photos

    def _new_job(self) -> NewJob:
        provider = self._provider
        return NewJob(
            secrets.token_hex(8),
            provider.name,
            provider.place,
            provider.model.name,
            self._prompt,
            self._in_batches,
            provider.model.price,
        )


def _doubtful() -> Sentence:
    return Sentence(
        "It is unknown whether the provider received the last batch. Its photos are not sent again "
        f"until this is known: run {Command('describe', Field('check_batches'))} in ten minutes."
    )


def _too_few(photos: int) -> Sentence:
    return Sentence(
        f"{Field('max_cost')} allows {counted(photos, 'photo')}, too few for a batch. Raise it, or "
        f"describe photos one by one at full price with {Field('no_batch')}."
    )


def _reply_or_problem(future: "Future[Reply]") -> Reply | NotSent | WrongUsage:
    try:
        return future.result()
    except (NotSent, WrongUsage) as error:
        return error
