"""Connections of clients, none of which may stay for nothing: who is slow loses theirs, and nobody else does.

Uvicorn limits how long a connection may rest between two requests, but not how long a request's head takes,
nor how long somebody takes to read an answer or goes on sending what was refused.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from facesets.web.headers import safe_headers

MOST = 500
"""Connections; the one that rests longest goes where a further one comes."""
HEAD_WITHIN_S = 15.0
READ_WITHIN_S = 30.0
_REFUSED_BODY_WITHIN_S = 3.0
_LEAVES_WITHIN_S = 5.0


class PatientConnection(H11Protocol):
    """A connection with limits of time for everything that its client does."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._sending: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._rests_since = self.loop.time()

    @property
    def _rests(self) -> bool:
        """Whether nothing is being answered."""
        return self.conn.our_state not in {h11.SEND_RESPONSE, h11.SEND_BODY}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; where there are too many, end the one that rests longest."""
        if len(self.connections) >= MOST:
            resting = [
                each for each in self.connections if isinstance(each, PatientConnection) and each._rests
            ]
            if not resting:
                transport.abort()
                self.transport = transport
                return
            min(resting, key=lambda each: each._rests_since).transport.abort()
        super().connection_made(transport)
        self._watch_sending()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limits."""
        self._unwatch_sending()
        self._unwatch_reading()
        if self.flow is not None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes."""
        super().data_received(data)
        self._watch_sending()

    def on_response_complete(self) -> None:
        """Rest from now on, or wait a moment for the rest of what was refused."""
        self._rests_since = self.loop.time()
        super().on_response_complete()
        self._watch_sending()

    def _watch_sending(self) -> None:
        """Give a head its time from its first byte; what is read only to be dropped has less."""
        if self.transport.is_closing() or self.conn.their_state is h11.ERROR:
            return
        is_dropped = self.conn.their_state is h11.SEND_BODY and self._rests
        if self.conn.their_state is not h11.IDLE and not is_dropped:
            self._unwatch_sending()
        elif self._sending is None:
            within = _REFUSED_BODY_WITHIN_S if is_dropped else HEAD_WITHIN_S
            self._sending = self.loop.call_later(within, self._leave)

    def _unwatch_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _unwatch_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _leave(self) -> None:
        """End the connection, also where the client does not read what is left for it."""
        transport = self.transport
        transport.close()
        self.loop.call_later(_LEAVES_WITHIN_S, transport.abort)

    def pause_writing(self) -> None:
        """Note that the client does not read as fast as it is answered."""
        super().pause_writing()
        if self._reading is None:
            self._reading = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that it reads on."""
        self._unwatch_reading()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End what rested too long."""
        if not self.transport.is_closing():
            self._leave()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, with the same headers as everything else."""
        headers = [(name.encode(), value.encode()) for name, value in safe_headers("")]
        headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        # Where something was being answered already, a second answer would be taken for a part of it.
        if self.conn.our_state is h11.IDLE:
            parts = (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=msg.encode("ascii")),
                h11.EndOfMessage(),
            )
            for part in parts:
                self.transport.write(self.conn.send(part) or b"")
        self._leave()
