"""Output that nobody reads: `… | head -1` closes its end of the pipe, and the work goes on without it."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _Dropping(io.FileIO):
    """Writes to nowhere, once nobody reads."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def go_on() -> None:
    """Standard output and error of this process are dropped once nobody reads them. To end there, as SIGPIPE would have
    it, would break off changes of a cloud in the middle, and hide how they ended."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            raw = _Dropping(stream.fileno(), "wb", closefd=False)
            at_once = stream.line_buffering or stream.write_through
            made = io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=at_once)
            setattr(sys, name, made)
