"""Ask servers with OpenAI's chat interface: llama.cpp, Ollama, vLLM, LM Studio, and others.

References
----------
https://platform.openai.com/docs/api-reference/chat
"""

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any

from facesets.descriptions.asking import MAX_OUTPUT_TOKENS, Doubtful, Outcome, PhotoQuestion, Reply
from facesets.descriptions.prices import FREE, Model, Usage
from facesets.errors import WrongUsage
from facesets.remote.access import json_or_none, plain_url
from facesets.remote.llm.server import WAITS_S, LlmServer, is_this_machine, message_of
from facesets.remote.retry import Pause


class OpenAiChat:
    """A `Provider` without batches."""

    name = "openai"
    batches = None

    def __init__(
        self,
        url: str,
        api_key: str | None,
        model: Model,
        *,
        pause: Pause,
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        """Store the server; nothing is sent yet. Raises `WrongUsage` for an invalid address."""
        base, self.place = plain_url(url, what="language model", example="http://localhost:11434/v1")
        self.is_local = is_this_machine(base.host)
        self.at_once = 1 if self.is_local else 4
        is_free = self.is_local and model.price is None
        self.model = Model(model.name, FREE, "on this machine") if is_free else model
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._server = LlmServer(base, self.place, headers, pause=pause, waits_s=waits_s)

    def close(self) -> None:
        """Close all connections."""
        self._server.close()

    def ask(self, question: PhotoQuestion) -> Reply:
        """Ask one question and wait for the reply; errors as `Provider.ask`."""
        began = time.monotonic()
        try:
            response = self._server.post("chat/completions", self._body(question))
        except Doubtful as error:
            return Reply(Outcome.DOUBTFUL, reason=f"{error}; it may have been charged")
        if response.status_code == 404:
            raise WrongUsage(
                f"{self.place} does not know the model {self.model.name or 'without a name'}, or the "
                "address is not a chat interface. Set LLM_MODEL, and give an address such as "
                "http://localhost:11434/v1."
            )
        if response.status_code in {401, 402, 403}:
            raise self._server.refusal(response)
        if not response.is_success:
            return Reply(Outcome.FREE, reason=message_of(response), lasting=True)
        return _reply(json_or_none(response.content), time.monotonic() - began)

    def _body(self, question: PhotoQuestion) -> dict[str, Any]:
        from facesets.descriptions.answer import schema

        picture = f"data:image/jpeg;base64,{base64.b64encode(question.jpeg).decode('ascii')}"
        return {
            "model": self.model.name,
            "max_tokens": MAX_OUTPUT_TOKENS,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": question.text},
                        {"type": "image_url", "image_url": {"url": picture}},
                    ],
                }
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "photo_description", "strict": True, "schema": schema()},
            },
        }


def _reply(found: object, duration_s: float) -> Reply:
    from facesets.descriptions.answer import WrongAnswer, read_answer

    choices = found.get("choices") if isinstance(found, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(found, Mapping) or not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        return Reply(Outcome.DOUBTFUL, reason="the answer is not a message; it may have been charged")
    usage = _usage(found.get("usage"))

    def refused(reason: str) -> Reply:
        return Reply(Outcome.REFUSED, usage=usage, reason=reason, duration_s=duration_s)

    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        return refused("the model refused to describe it")
    if choice.get("finish_reason") == "length":
        return refused(f"the answer was truncated after {usage.output} tokens")
    try:
        answer = read_answer(str(message.get("content") or ""))
    except WrongAnswer as error:
        return refused(str(error))
    return Reply(Outcome.ANSWERED, answer, usage, duration_s=duration_s)


def _usage(found: object) -> Usage:
    def number(part: object, name: str) -> int:
        value = part.get(name) if isinstance(part, Mapping) else None
        return value if isinstance(value, int) and value > 0 else 0

    details = found.get("prompt_tokens_details") if isinstance(found, Mapping) else None
    cached = number(details, "cached_tokens")
    return Usage(max(number(found, "prompt_tokens") - cached, 0), number(found, "completion_tokens"), cached)
