"""Logging for `--debug`, without secrets; silence otherwise."""

from __future__ import annotations

import json
import logging
import os
import re
from urllib.parse import quote

_VARIABLE = re.compile(r"(?:OS|AWS)_\w*(?:PASS|SECRET|TOKEN)")
_USERINFO = re.compile(r"(\w+://)[^/?#\s\"]+@")
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


def set_up(debug: bool) -> None:
    """Log everything to standard error with `debug`, else nothing: what matters comes as messages."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    if not debug:
        root.addHandler(logging.NullHandler())
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_Mask("%(asctime)s %(name)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
