"""Hash chunks in one thread per algorithm: hashlib releases the lock of the interpreter."""

from __future__ import annotations

import hashlib
import threading
from queue import Queue

WAITING = 4  # chunks that a hash may lag behind; more would only take memory


class Digests:
    """Compute SHA-256, SHA-512, MD5 (for clients of simplestreams) and `more`, except for the `known` ones that another
    object computes.

    `with` ends the threads; the digests are available after `finish`.
    """

    def __init__(self, *more: str, known: frozenset[str] = frozenset()) -> None:
        self.size = 0
        self._done: dict[str, str] = {}
        names = [name for name in dict.fromkeys(("sha256", "sha512", "md5", *more)) if name not in known]
        self._queues: list[Queue[bytes | None]] = [Queue(WAITING) for _ in names]
        self._threads = [
            threading.Thread(target=self._work, args=pair, name=f"hash-{pair[0]}", daemon=True)
            for pair in zip(names, self._queues, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, name: str, queue: Queue[bytes | None]) -> None:
        digest = hashlib.new(name, usedforsecurity=name != "md5")
        while (chunk := queue.get()) is not None:
            digest.update(chunk)
        self._done[name] = digest.hexdigest()

    def feed(self, chunk: bytes) -> None:
        """Hash the next bytes, which must not change afterwards."""
        self.size += len(chunk)
        for queue in self._queues:
            queue.put(chunk)

    def finish(self, **known: str) -> None:
        """Finish all hashes. `known`: digests that another object has computed."""
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
