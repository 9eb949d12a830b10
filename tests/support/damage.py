"""Texts that are damaged at random, and how they are read then: right, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from openstack_image_manager.errors import VerificationError


def answered(read: Callable[[], Any]) -> Any:
    """What is read; None for what is refused, which is told in one line."""
    try:
        return read()
    except VerificationError as error:
        message = str(error)
    assert message
    assert "\n" not in message
    return None


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.text(max_size=4)), max_size=6)
TOKENS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 8),
        st.sampled_from(
            ["{", "}", "[", "]", '"', ",", ":", "null", "1", "<", ">", "<a href=", "/", "..", "\x00", "\\u"]
        ),
    ),
    max_size=6,
)


def damaged(text: str, changes: list[tuple[float, int, str]]) -> str:
    """The text with each change: where in it, how many characters go, and what comes instead."""
    for where, length, instead in changes:
        at = int(where * len(text))
        text = text[:at] + instead + text[at + length :]
    return text
