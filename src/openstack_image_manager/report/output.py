"""Guard standard output and error: every text of this process passes through here."""

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

_LONGEST = 128  # characters of a line that is not finished: enough to know the beginning of a command


class Output:
    """A text stream without secrets, control characters and commands to CI runners: what is left of them after a text
    was made is escaped here, in a form that JSON reads as the same. `styled`: the control sequences of Rich stay."""

    def __init__(self, stream: TextIO, styled: bool = False) -> None:
        self.stream, self._styled = stream, styled
        self._line = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Write the text; a command that comes in two pieces is none either."""
        with self._lock:
            fit = without_secrets(text)
            if not self._styled:
                fit = re.sub(r"[^\n\t]+", lambda line: printable(line[0], in_json), fit)
            fit = inert(fit, before=self._line)
            line = (self._line + fit).rpartition("\n")[2]
            if len(line) >= _LONGEST:  # blanks alone may still be followed by a command
                line = f"…{line[1 - _LONGEST :]}" if line.strip() else " "
            self._line = line
            self.stream.write(fit)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write them one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard() -> None:
    """Let standard output and error of this process be written through `Output`, and know the secrets of its
    environment."""
    remember_environment(os.environ)
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), Output):
            setattr(sys, name, Output(getattr(sys, name)))


def as_json(data: Any) -> str:
    """Plain values as a JSON document: one form for standard output and for files, without secrets."""
    text = without_secrets(json.dumps(data, indent=2, ensure_ascii=False))
    return re.sub(r"[^\n]+", lambda line: printable(line[0], in_json), text)


def print_json(data: Any) -> None:
    """Print plain values to standard output as a JSON document."""
    print(as_json(data), flush=True)


def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write a traceback as Python does, without secrets: for sys.excepthook."""
    from traceback import format_exception

    sys.stderr.write(redact("".join(format_exception(kind, error, trace))))


def styled(stream: TextIO) -> TextIO:
    """The stream for the texts of Rich, whose names and messages have no control characters."""
    return cast("TextIO", Output(stream.stream if isinstance(stream, Output) else stream, styled=True))
