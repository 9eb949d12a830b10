"""Hashes of what passes, each in a thread of its own: hashlib lets others work meanwhile."""

from __future__ import annotations

import hashlib
import threading
from queue import Queue

WAITING = 4  # chunks that a hash may be behind; more would only be more memory


class Digests:
    """SHA-256, SHA-512 and `more`, but for those that somebody else makes (`known`). `with` ends the threads; there are
    digests after `finish`."""

    def __init__(self, *more: str, known: frozenset[str] = frozenset()) -> None:
        self.size = 0
        self._done: dict[str, str] = {}
        names = [name for name in dict.fromkeys(("sha256", "sha512", *more)) if name not in known]
        self._queues: list[Queue[bytes | None]] = [Queue(WAITING) for _ in names]
        self._threads = [
            threading.Thread(target=self._work, args=pair, name=f"hash-{pair[0]}", daemon=True)
            for pair in zip(names, self._queues, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, name: str, queue: Queue[bytes | None]) -> None:
        made = hashlib.new(name)
        while (chunk := queue.get()) is not None:
            made.update(chunk)
        self._done[name] = made.hexdigest()

    def feed(self, chunk: bytes) -> None:
        """The next bytes, which nobody may change any more."""
        self.size += len(chunk)
        for queue in self._queues:
            queue.put(chunk)

    def finish(self, **known: str) -> None:
        """That was all. `known`: digests that somebody else has made."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()
        self._queues, self._threads = [], []
        self._done.update(known)

    def __getitem__(self, name: str) -> str:
        return self._done[name]

    def __enter__(self) -> Digests:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()
