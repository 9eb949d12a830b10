"""Filter standard output and error of this process."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TextIO, cast

from openstack_image_manager.redaction import in_json, inert, printable, redact, remember_environment, without_secrets

_LONGEST = 128  # characters of an unfinished line: enough to detect the beginning of a command


class Output:
    """A text stream that masks secrets, and escapes control characters and commands to CI runners. JSON keeps its
    meaning. `styled`: keep the control sequences of Rich."""

    def __init__(self, stream: TextIO, styled: bool = False) -> None:
        self.stream, self._styled = stream, styled
        self._line = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Write the text. Commands in two pieces are escaped too."""
        with self._lock:
            safe = without_secrets(text)
            if not self._styled:
                safe = re.sub(r"[^\n\t]+", lambda line: printable(line[0], in_json), safe)
            safe = inert(safe, before=self._line)
            line = (self._line + safe).rpartition("\n")[2]
            if len(line) >= _LONGEST:  # a command may still follow blanks
                line = f"…{line[1 - _LONGEST :]}" if line.strip() else " "
            self._line = line
            self.stream.write(safe)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write all lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard() -> None:
    """Replace standard output and error by `Output`, and remember the secrets of the environment."""
    remember_environment(os.environ)
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), Output):
            setattr(sys, name, Output(getattr(sys, name)))


def as_json(data: Any) -> str:
    """Return plain values as a JSON document without secrets, for standard output and for files."""
    text = without_secrets(json.dumps(data, indent=2, ensure_ascii=False))
    return re.sub(r"[^\n]+", lambda line: printable(line[0], in_json), text)


def print_json(data: Any) -> None:
    """Print plain values to standard output as a JSON document."""
    print(as_json(data), flush=True)


def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write a traceback without secrets, for sys.excepthook."""
    from traceback import format_exception

    sys.stderr.write(redact("".join(format_exception(kind, error, trace))))


def styled(stream: TextIO) -> TextIO:
    """Return the stream for Rich. Names and messages in its texts have no control characters."""
    return cast("TextIO", Output(stream.stream if isinstance(stream, Output) else stream, styled=True))
