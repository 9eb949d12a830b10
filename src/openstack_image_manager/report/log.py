"""What is logged, without secrets: for `--debug` everything, with `--log-format json` also what a run tells."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from openstack_image_manager import log_context
from openstack_image_manager.redaction import redact


def _cleaned(record: logging.LogRecord, text: str) -> str:
    """The text of a record: what libraries log is without secrets, and what is ours has none and stays as it is."""
    return text if record.name.startswith(log_context.NAME) else redact(text)


class _Text(logging.Formatter):
    """A line, or as many as the message has."""

    def format(self, record: logging.LogRecord) -> str:
        return _cleaned(record, super().format(record))


def set_up(debug: bool, form: str = "text") -> None:
    """Log everything to standard error with `debug`, else nothing: what matters comes as messages. In the form `json`
    those messages are logged as well."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    if not debug and form == "text":
        root.addHandler(logging.NullHandler())
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if form == "json" else _Text("%(asctime)s %(name)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    if not debug:
        handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.startswith(log_context.NAME))


class _Json(logging.Formatter):
    """One JSON object a line: time (RFC 3339), level, logger, message, and where known cloud and definition."""

    def format(self, record: logging.LogRecord) -> str:
        known: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cleaned(record, record.getMessage()),
        }
        known |= log_context.context_of(record)
        if record.exc_info:
            known["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(known, ensure_ascii=False)


def is_json() -> bool:
    """True where standard error is for programs."""
    return any(isinstance(handler.formatter, _Json) for handler in logging.getLogger().handlers)


def say(level: str, message: str) -> None:
    """An error, warning or note that a person must see: on standard error as `level: message`, or as JSON."""
    if is_json():
        log_context.LOG.log(logging.getLevelNamesMapping()[level.upper()], message)
    else:
        sys.stderr.write(f"{level}: {message}\n")
