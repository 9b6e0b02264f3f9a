"""What several tests of the queue start from."""

from tests.fixtures.queued import queue, service

__all__ = ["queue", "service"]
