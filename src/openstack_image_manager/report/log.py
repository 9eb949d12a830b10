"""Log without secrets: everything with `--debug`, and messages of a run with `--log-format json`."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from openstack_image_manager import log_context
from openstack_image_manager.redaction import redact

# keystoneauth logs where a person has to log in, and the code to enter there.
_LOGINS = ("keystoneauth.identity.v3.oidc", "keystoneauth.identity.v3.websso")


def _is_login(record: logging.LogRecord) -> bool:
    """True for a message that a person needs to log in: without it, a federated login waits for nobody."""
    return record.levelno >= logging.WARNING and record.name in _LOGINS


def _cleaned(record: logging.LogRecord, text: str) -> str:
    """Return the text of a record, without secrets if a library wrote it. Our own texts have none, and the address of a
    login must stay whole."""
    return text if record.name.startswith(log_context.NAME) or _is_login(record) else redact(text)


class _Login(logging.Formatter):
    """Formats the message of a login as a note, with its cloud."""

    def format(self, record: logging.LogRecord) -> str:
        cloud = log_context.context_of(record).get("cloud")
        return f"note: {f'cloud {cloud!r}: ' if cloud else ''}{record.getMessage()}"


class _Text(logging.Formatter):
    """Formats a record as text, with all lines of its message."""

    def format(self, record: logging.LogRecord) -> str:
        return _cleaned(record, super().format(record))


def set_up(debug: bool, form: str = "text") -> None:
    """Log everything to standard error with `debug`, else only where a person has to log in, because messages report
    what matters. With the format json these messages are logged too."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    if not debug and form == "text":
        logins = logging.StreamHandler()
        logins.addFilter(_is_login)
        logins.setFormatter(_Login())
        root.addHandler(logins)
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if form == "json" else _Text("%(asctime)s %(name)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    if not debug:
        handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.startswith(log_context.NAME))


class _Json(logging.Formatter):
    """Formats a record as one line of JSON: time (RFC 3339), level, logger, message, cloud and definition."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cleaned(record, record.getMessage()),
        }
        fields |= log_context.context_of(record)
        if record.exc_info:
            fields["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)


def is_json() -> bool:
    """True if standard error is JSON."""
    return any(isinstance(handler.formatter, _Json) for handler in logging.getLogger().handlers)


def say(level: str, message: str) -> None:
    """Print an error, warning or note to standard error, as `level: message` or JSON."""
    if is_json():
        log_context.LOG.log(logging.getLevelNamesMapping()[level.upper()], message)
    else:
        sys.stderr.write(f"{level}: {message}\n")
