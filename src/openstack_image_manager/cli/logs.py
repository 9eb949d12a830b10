"""Logging for `--debug`, without secrets; silence otherwise."""

from __future__ import annotations

import logging
import os
import re

_USERINFO = re.compile(r"(\w+://)[^/\s@]+@")
_PARAMETER = re.compile(r"([?&](?:[\w.-]*(?:sig|token|key|credential|secret|passw|policy)[\w.-]*)=)[^&\s\"']+", re.I)
_FIELD = re.compile(r"((?:password|secret|token|passcode)[\"']?\s*[:=]\s*[\"']?)[^\"'\s,}]+", re.I)


class _Mask(logging.Formatter):
    """Whatever a library logs, secrets are replaced before it is written."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


def mask(text: str) -> str:
    """The text without passwords, tokens, user info and secret parameters of URLs."""
    for name in ("OS_PASSWORD", "OS_TOKEN", "OS_APPLICATION_CREDENTIAL_SECRET"):
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    text = _USERINFO.sub(r"\1***@", text)
    return _FIELD.sub(r"\1***", _PARAMETER.sub(r"\1***", text))


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
