"""Embed texts with CLIP, comparable with embeddings of images."""

import string
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from facesets.errors import CannotInfer, MissingModelPack
from facesets.files import printable
from facesets.inference.clip_image import unit_vector
from facesets.inference.clip_packs import ClipPack, damaged
from facesets.inference.session import CPU, Session
from facesets.records import Float32, Int64

_CONTEXT = 77
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ClipTextual:
    """A loaded encoder for texts."""

    def __init__(self, pack: ClipPack, *, provider: str = CPU, threads: int = 1) -> None:
        """Load the network and its tokenizer.

        Raises
        ------
        MissingModelPack
            The pack has no part for texts.
        CannotInfer, DamagedFile
            It does not run here, or is not what it should be.
        """
        if not pack.knows_texts:
            raise MissingModelPack(
                f"The CLIP pack {printable(pack.path)} has no text encoder (textual/). Copy the "
                "complete pack."
            )
        self.model = pack.model
        self._session = Session(pack.textual, provider, threads=threads, rewrite=False)
        if any(each.dtype is None or each.dtype.kind != "i" for each in self._session.inputs):
            raise CannotInfer(
                f"The model {printable(pack.textual)} does not accept texts like Immich's CLIP models."
            )
        settings = _mapping(pack.configuration().get("text_cfg"))
        self._canonical = _mapping(settings.get("tokenizer_kwargs")).get("clean") == "canonicalize"
        length = self._session.inputs[0].fixed(1) or settings.get("context_length")
        self._tokenizer = _tokenizer(pack, length if isinstance(length, int) else _CONTEXT)

    def embedding(self, text: str) -> Float32:
        """Return the embedding of a text, of unit length, (dimension,) float32. Raises `CannotInfer`."""
        ids, mask = self.tokens(text)
        feed = {
            each.name: (mask if "mask" in each.name else ids)[None].astype(each.dtype)
            for each in self._session.inputs
        }
        return unit_vector(self._session.run_named(feed)[0])

    def tokens(self, text: str) -> tuple[Int64, Int64]:
        """Return the token ids of a text, cut or padded to the model's length, and the mask."""
        words = " ".join(text.split())
        if self._canonical:
            words = words.translate(_NO_PUNCTUATION).lower()
        encoded = self._tokenizer.encode(words)
        return np.array(encoded.ids, np.int64), np.array(encoded.attention_mask, np.int64)


def _tokenizer(pack: ClipPack, length: int) -> Tokenizer:
    path = pack.path / "textual" / "tokenizer.json"
    named = pack.tokenizer_configuration().get("pad_token")
    token = named.get("content") if isinstance(named, dict) else named
    try:
        tokenizer = Tokenizer.from_file(str(path))
        number = tokenizer.token_to_id(token) if isinstance(token, str) else None
        # Without a padding token, padding is 0, as in OpenAI's own tokenizer.
        tokenizer.enable_padding(length=length, pad_id=number or 0, pad_token=token if number else "")
        tokenizer.enable_truncation(max_length=length)
    except Exception as error:  # the library raises nothing narrower
        raise damaged(path, pack.name) from error
    return tokenizer


def _mapping(value: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON can hold
    return value if isinstance(value, dict) else {}
