"""What a run tells, for logs that programs read: each record knows the cloud and the definition that it is about."""

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
    """Whatever this thread logs meanwhile is about that cloud and that definition; None: as before."""
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
    """What is known of where a record belongs; to be asked in the thread that logs it."""
    context = {"cloud": _CLOUD.get(), "definition": _DEFINITION.get(), "image": getattr(record, "image", "")}
    return {name: value for name, value in context.items() if value}
