"""Anthropic: messages, and batches at half the price.

References
----------
https://platform.claude.com/docs/en/api/messages/batches
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from facesets.descriptions.asking import (
    BatchState,
    Doubtful,
    LostBatch,
    NotSent,
    Outcome,
    PhotoQuestion,
    Reply,
    request_name,
)
from facesets.descriptions.prices import Model
from facesets.errors import WrongUsage
from facesets.remote.access import json_or_none, plain_url
from facesets.remote.llm.messages import body, reply_of, unpaid
from facesets.remote.llm.server import WAITS_S, LlmServer, is_this_machine, message_of
from facesets.remote.retry import Pause

_VERSION = "2023-06-01"
_BATCHES = "v1/messages/batches"
_PAGE = 100
_UNDONE = {"expired": "the batch expired", "canceled": "the batch was cancelled"}
_CLOCKS_DIFFER = timedelta(days=1)


class Anthropic:
    """A `Provider`: Anthropic's own interface, or a server with the same."""

    name = "anthropic"
    least = 1
    at_once = 4

    def __init__(
        self, url: str, api_key: str, model: Model, *, pause: Pause, waits_s: Sequence[float] = WAITS_S
    ) -> None:
        """Store the account; nothing is sent yet. Raises `WrongUsage` for an invalid address."""
        base, label = plain_url(url, what="language model", example="https://api.anthropic.com")
        self.model = model
        self.place = label
        self.is_local = is_this_machine(base.host)
        headers = {"x-api-key": api_key, "anthropic-version": _VERSION}
        self._server = LlmServer(base, label, headers, pause=pause, waits_s=waits_s)

    @property
    def batches(self) -> "Anthropic":
        """Return the provider itself."""
        return self

    def close(self) -> None:
        """Close all connections."""
        self._server.close()

    def ask(self, question: PhotoQuestion) -> Reply:
        """Ask one question and wait for the reply; errors as `Provider.ask`."""
        began = time.monotonic()
        try:
            response = self._server.post("v1/messages", self._params(question))
        except Doubtful as error:
            return Reply(Outcome.DOUBTFUL, reason=f"{error}; it may have been charged")
        if response.is_success:
            return reply_of(json_or_none(response.content), duration_s=time.monotonic() - began)
        self._raise_if_of_all(response)
        return Reply(Outcome.FREE, reason=message_of(response), lasting=True)

    def send_batch(self, key: str, questions: Sequence[PhotoQuestion]) -> str:
        """Hand over a batch; errors as `Provider.send_batch`."""
        requests = [
            {"custom_id": request_name(key, each.sha256), "params": self._params(each)} for each in questions
        ]
        response = self._server.post(_BATCHES, {"requests": requests}, failed_is_undone=False)
        if not response.is_success:
            self._raise_if_of_all(response)
            raise self._server.refusal(response)
        found = json_or_none(response.content)
        if not isinstance(found, Mapping) or not isinstance(found.get("id"), str):
            raise Doubtful("the answer to the batch is invalid")
        return str(found["id"])

    def find_batch(self, batch: LostBatch) -> tuple[str | None, bool]:
        """Find a batch since a time with this number of requests and key."""
        sure = True
        for found in self._batches_since(batch.since - _CLOCKS_DIFFER):
            counts = found.get("request_counts") or {}
            if found["id"] in batch.known or sum(counts.values()) != batch.requests:
                continue
            if found.get("archived_at"):
                continue
            if found.get("processing_status") != "ended":
                sure = False  # The names of a batch's requests are known once it has ended.
                continue
            with self._server.lines(f"{_BATCHES}/{found['id']}/results") as lines:
                first = next(filter(None, map(_line, lines)), {})
            if str(first.get("custom_id", "")).startswith(f"{batch.key}-"):
                return str(found["id"]), True
        return None, sure

    def batch_state(self, batch_id: str) -> BatchState:
        """Return the state of a batch; errors as `Provider.batch_state`."""
        response = self._server.get(f"{_BATCHES}/{batch_id}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return BatchState.UNKNOWN
        if not response.is_success:
            raise self._server.refusal(response)
        found = json_or_none(response.content)
        if not isinstance(found, Mapping) or found.get("processing_status") != "ended":
            return BatchState.UNDER_WAY
        return BatchState.LOST if found.get("archived_at") else BatchState.ENDED

    def results(self, batch_id: str, key: str) -> Iterator[tuple[str, Reply]]:
        """Return the results of an ended batch, unordered."""
        with self._server.lines(f"{_BATCHES}/{batch_id}/results") as lines:
            for found in map(_line, lines):
                name = found.get("custom_id")
                if isinstance(name, str) and name.startswith(f"{key}-"):
                    yield name, _result(found.get("result"))

    def without_result(self, batch_id: str) -> Reply:
        """Explain a missing result of an ended batch."""
        reason = f"the batch {batch_id} ended without a result for it; it may have been charged"
        return Reply(Outcome.DOUBTFUL, reason=reason)

    def _params(self, question: PhotoQuestion) -> dict[str, Any]:
        return {"model": self.model.name, **body(question, self.model)}

    def _raise_if_of_all(self, response: httpx.Response) -> None:
        """Raise errors that affect all photos: `WrongUsage`, `NotSent`."""
        status, message = response.status_code, message_of(response)
        if status == httpx.codes.NOT_FOUND:
            raise WrongUsage(f"{self.place} does not know the model {self.model.name}. Set LLM_MODEL.")
        if status in {401, 403}:
            raise self._server.refusal(response)
        if status == httpx.codes.PAYMENT_REQUIRED or "credit balance" in message or "spend limit" in message:
            raise NotSent(f"{self.place} requires payment ({message}). Nothing more was sent.")

    def _batches_since(self, since: datetime) -> Iterator[dict[str, Any]]:
        query = {"limit": str(_PAGE)}
        while True:
            response = self._server.get(_BATCHES, query)
            if not response.is_success:
                raise self._server.refusal(response)
            page = json_or_none(response.content)
            if not isinstance(page, dict):
                raise NotSent(
                    f"{self.place} did not return its list of batches. Run the same command again later."
                )
            for found in page.get("data", []):
                if _time(found.get("created_at")) < since:
                    return
                yield found
            if not page.get("has_more"):
                return
            query = {"limit": str(_PAGE), "after_id": str(page["last_id"])}


def _result(result: object) -> Reply:
    found = result if isinstance(result, Mapping) else {}
    kind = str(found.get("type"))
    if kind == "succeeded":
        return reply_of(found.get("message"))
    if kind == "errored":
        return unpaid(found.get("error"))
    if kind in _UNDONE:
        return Reply(Outcome.FREE, reason=_UNDONE[kind])
    return Reply(Outcome.DOUBTFUL, reason="its result is unknown; it may have been charged")


def _time(text: object) -> datetime:
    """Parse a time; the latest one if it is invalid."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _line(text: str) -> dict[str, Any]:
    found = json_or_none(text)
    return found if isinstance(found, dict) else {}
