"""What is logged, without secrets: for `--debug` everything, with `--log-format json` also what a run tells."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from urllib.parse import quote

from openstack_image_manager import told

_VARIABLE = re.compile(r"(?:OS|AWS)_\w*(?:PASS|SECRET|TOKEN)")
_USERINFO = re.compile(r"\b(\w+://)[^/?#\s\"]+@")
_PARAMETER = re.compile(r"([?&][\w.-]*(?:sig|token|key|credential|secret|passw|policy)[\w.-]*=)[^&\s\"'#]+", re.I)
_HEADER = re.compile(r"((?:authorization|cookie):\s*)[^\r\n\"']+|(x-[\w-]*(?:token|key|secret):\s*)[^\s\"',]+", re.I)
# In JSON, in JSON within JSON, and as Python writes it: a quoted value ends with the quote it begins with.
_FIELD = re.compile(
    r"((?:pass(?:word|wd|code|phrase)|secret|token|authorization|cookie)\w*\\*[\"']?\s*[:=]\s*)"
    r"(?:b?(\\*[\"'])(?:(?!\2)(?:\\.|.))*\2?|[^\"'\s,;{}\[\]]+)",
    re.IGNORECASE | re.DOTALL,
)
_FERNET = re.compile(r"gAAAAA[\w-]{20,}=*")


class _Mask(logging.Formatter):
    """Whatever a library logs, secrets are replaced before it is written."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def mask(text: str) -> str:
    """The text without passwords, tokens, user info and secret parameters of URLs."""
    secrets = [value for name, value in os.environ.items() if _VARIABLE.match(name) and value]
    written = {form for each in secrets for form in (each, quote(each, safe=""), json.dumps(each)[1:-1])}
    for form in sorted(written, key=len, reverse=True):
        text = text.replace(form, "***")
    text = _USERINFO.sub(r"\1***@", text)
    text = _HEADER.sub(r"\1\2***", _PARAMETER.sub(r"\1***", text))
    return _FERNET.sub("***", _FIELD.sub(r"\1***", text))


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
    handler.setFormatter(_Json() if form == "json" else _Mask("%(asctime)s %(name)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    if not debug:
        handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.startswith(told.NAME))


class _Json(logging.Formatter):
    """One JSON object a line: time (RFC 3339), level, logger, message, and where known cloud and definition."""

    def format(self, record: logging.LogRecord) -> str:
        known: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask(record.getMessage()),
        }
        known |= {name: mask(value) for name, value in told.place(record).items()}
        if record.exc_info:
            known["exception"] = mask(self.formatException(record.exc_info))
        return json.dumps(known, ensure_ascii=False)


def is_json() -> bool:
    """True where standard error is for programs."""
    return any(isinstance(handler.formatter, _Json) for handler in logging.getLogger().handlers)


def say(level: str, message: str) -> None:
    """An error, warning or note that a person must see: on standard error as `level: message`, or as JSON."""
    if is_json():
        told.LOG.log(logging.getLevelNamesMapping()[level.upper()], message)
    else:
        sys.stderr.write(f"{level}: {mask(message)}\n")
