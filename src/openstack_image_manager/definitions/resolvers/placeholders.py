"""Fill placeholders such as {os_version} in URLs and patterns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from openstack_image_manager.definitions.resolvers import limits
from openstack_image_manager.errors import Error

if TYPE_CHECKING:
    import regex

# Digits in braces, as in \d{8}, belong to regular expressions.
_PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*)\}")

Variables = Mapping[str, str]


def used(text: str) -> list[str]:
    """The names of the placeholders in a text, in their order."""
    return _PLACEHOLDER.findall(text)


def has_stray_brace(text: str) -> bool:
    """True if a brace is left that belongs to no placeholder (which patterns may have, and addresses may not)."""
    return bool(re.search(r"[{}]", _PLACEHOLDER.sub("", text)))


def fill(text: str, variables: Variables) -> str:
    """The text with values for placeholders. Raises Error for one that has no value, and for a text too long."""
    return _filled(text, variables, str, limits.VALUE)


def pattern(text: str, variables: Variables) -> regex.Pattern[str]:
    """A regular expression whose placeholders are replaced with their values, character by character. Raises Error.

    Of the library regex, which can be stopped: what `re` matches it matches too, but `re` never ends early.
    """
    import regex  # late: most runs have no pattern

    filled = _filled(text, variables, re.escape, limits.PATTERN)
    limits.groups(filled)
    try:
        return regex.compile(filled, regex.ASCII)
    except (regex.error, RecursionError, ValueError) as error:  # ValueError: flags that exclude each other
        raise Error(f"'{text}' is not a regular expression: {error}") from None


def _filled(text: str, variables: Variables, form: Callable[[str], str], most: int) -> str:
    length = len(text)

    def value(match: re.Match[str]) -> str:
        nonlocal length
        name = match[1]
        if name not in variables:
            raise Error(f"'{text}': {{{name}}} is unknown")
        filled = form(variables[name])
        length += len(filled) - len(match[0])
        # Counted on the way: what is built of values that are built of values grows tenfold with each.
        if length > most:
            raise Error(f"'{text[:100]}' is longer than {most} characters with its values")
        return filled

    return _PLACEHOLDER.sub(value, text)


def groups(match: regex.Match[str]) -> dict[str, str]:
    """The named groups of a match; those that took no part are empty."""
    return {name: value or "" for name, value in match.groupdict().items()}
