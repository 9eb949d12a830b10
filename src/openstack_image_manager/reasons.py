"""PURE: what libraries say of a failure, in one line."""

from __future__ import annotations

import re
from typing import Any

from openstack_image_manager.format import public_url

_POOL = re.compile(r"^HTTPS?Connection(?:Pool)?\(host=[^)]*\): ")


def reason(error: Exception | str) -> str:
    """The innermost reason in one line: the libraries wrap it several times."""
    seen: Any = error
    while isinstance(seen, Exception):
        inner = getattr(seen, "reason", None) or next((a for a in seen.args if isinstance(a, Exception)), None)
        if not isinstance(inner, Exception):
            break
        seen = inner
    text = getattr(seen, "strerror", None) or str(seen) or type(seen).__name__
    line = " ".join(text.split())
    line = line.rpartition("object at 0x")[2].partition(">: ")[2] or line
    line = re.sub(r"\b\w+://[^\s'\"]+", lambda url: public_url(url.group()), line)
    return _POOL.sub("", line)
