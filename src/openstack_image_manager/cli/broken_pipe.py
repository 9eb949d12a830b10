"""Continue to work after `… | head -1` has closed the pipe of the output."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class _DiscardingFile(io.FileIO):
    """Discards output after the reader has closed the pipe."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)


def go_on() -> None:
    """Discard standard output and error after their reader is gone. Ending the process, as SIGPIPE does, would
    interrupt changes of a cloud and hide their results."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            raw = _DiscardingFile(stream.fileno(), "wb", closefd=False)
            at_once = stream.line_buffering or stream.write_through
            wrapper = io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=at_once)
            setattr(sys, name, wrapper)
