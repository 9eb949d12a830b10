"""Limit the time of a resolver's patterns: an endless match is an error, and does not hang the program."""

from __future__ import annotations

import time

import regex

from openstack_image_manager.errors import Error
from openstack_image_manager.upstreams.documents import shown

SECONDS = 2.0  # of CPU time for all patterns of one definition; a name takes some microseconds


class MatchTimer:
    """The remaining time for the patterns of one definition. For one thread."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = self._left = seconds

    def match(self, wanted: regex.Pattern[str], text: str, place: str, written: str) -> regex.Match[str] | None:
        """Match the whole text. `place` and `written`: where the pattern is defined, and its text. Raises Error when
        the time is up."""
        begin = time.thread_time()
        try:
            if self._left <= 0:
                raise TimeoutError
            return wanted.fullmatch(text, timeout=self._left)
        except TimeoutError:
            raise Error(
                f"resolve.{place}: '{written}' was stopped after {self._seconds:g} seconds at '{shown(text)}': too "
                "many ways to match; avoid nested repetitions such as (a+)+"
            ) from None
        finally:
            self._left -= time.thread_time() - begin
