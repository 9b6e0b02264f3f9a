"""Fixtures of several tests of the queue."""

from tests.fixtures.queued import queue, service

__all__ = ["queue", "service"]
