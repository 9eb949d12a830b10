"""Add the cloud and the definition to log records, for logs that programs read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NAME = "openstack_image_manager"
LOG = logging.getLogger(NAME)
_CLOUD: ContextVar[str] = ContextVar("cloud", default="")
_DEFINITION: ContextVar[str] = ContextVar("definition", default="")


@contextmanager
def about(cloud: str | None = None, definition: str | None = None) -> Iterator[None]:
    """Log records of this thread in the block are about that cloud and that definition; None: as before."""
    tokens = [
        (variable, variable.set(value))
        for variable, value in ((_CLOUD, cloud), (_DEFINITION, definition))
        if value is not None
    ]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def context_of(record: logging.LogRecord) -> dict[str, str]:
    """The cloud, definition and image of a record; call it in the thread that logs the record."""
    context = {"cloud": _CLOUD.get(), "definition": _DEFINITION.get(), "image": getattr(record, "image", "")}
    return {name: value for name, value in context.items() if value}
