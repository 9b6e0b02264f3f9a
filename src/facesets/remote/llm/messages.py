"""Build and parse Anthropic's messages, for Anthropic itself and Amazon Bedrock.

References
----------
https://platform.claude.com/docs/en/api/messages
https://platform.claude.com/docs/en/build-with-claude/structured-outputs
"""

import base64
from collections.abc import Mapping
from typing import Any

from facesets.descriptions.asking import MAX_OUTPUT_TOKENS, Outcome, PhotoQuestion, Reply
from facesets.descriptions.prices import Model, Usage
from facesets.files import printable


def body(question: PhotoQuestion, model: Model) -> dict[str, Any]:
    """Return a question as a message, without the model's name."""
    from facesets.descriptions.answer import schema

    output: dict[str, Any] = {"format": {"type": "json_schema", "schema": schema()}}
    if model.effort:
        output["effort"] = "low"
    picture = {
        "type": "base64",
        "media_type": "image/jpeg",
        "data": base64.b64encode(question.jpeg).decode("ascii"),
    }
    return {
        "max_tokens": MAX_OUTPUT_TOKENS,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": picture},
                    {"type": "text", "text": question.text},
                ],
            }
        ],
        "output_config": output,
    }


def reply_of(message: object, *, duration_s: float | None = None) -> Reply:
    """Read a reply from an answer."""
    from facesets.descriptions.answer import WrongAnswer, read_answer

    if not isinstance(message, Mapping) or not isinstance(message.get("usage"), Mapping):
        return Reply(Outcome.DOUBTFUL, reason="the answer is not a message; it may have been charged")
    usage = _usage(message["usage"])

    def refused(reason: str) -> Reply:
        return Reply(Outcome.REFUSED, usage=usage, reason=reason, duration_s=duration_s)

    stopped_by = message.get("stop_reason")
    if stopped_by == "refusal":
        return refused("the model refused to describe it")
    if stopped_by in {"max_tokens", "model_context_window_exceeded"}:
        return refused(f"the answer was truncated after {usage.output} tokens")
    blocks = message.get("content")
    texts = [
        str(block.get("text", ""))
        for block in (blocks if isinstance(blocks, list) else [])
        if isinstance(block, Mapping) and block.get("type") == "text"
    ]
    try:
        answer = read_answer("".join(texts))
    except WrongAnswer as error:
        return refused(str(error))
    return Reply(Outcome.ANSWERED, answer, usage, duration_s=duration_s)


def unpaid(error: object) -> Reply:
    """Translate an error answer, which is not charged and may be temporary."""
    details = error.get("error", error) if isinstance(error, Mapping) else {}
    kind = str(details.get("type", "")) if isinstance(details, Mapping) else ""
    message = printable(str(details.get("message", "")) if isinstance(details, Mapping) else "")[:300]
    lasting = kind in {"invalid_request_error", "request_too_large", "permission_error"}
    return Reply(Outcome.FREE, reason=message or kind or "an unspecified error", lasting=lasting)


def _usage(found: Mapping[str, Any]) -> Usage:
    def number(name: str) -> int:
        value = found.get(name)
        return value if isinstance(value, int) and value > 0 else 0

    return Usage(
        number("input_tokens"),
        number("output_tokens"),
        number("cache_read_input_tokens"),
        number("cache_creation_input_tokens"),
    )
