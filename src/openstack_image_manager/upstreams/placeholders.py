"""PURE: placeholders such as {os_version} in addresses and patterns, and the values that stand for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

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
    """The text with values for placeholders. Raises Error for one that has no value."""
    return _filled(text, variables, str)


def pattern(text: str, variables: Variables) -> regex.Pattern[str]:
    """A regular expression whose placeholders stand for their values, character by character. Raises Error.

    Of the library regex, which can be stopped: what `re` matches it matches too, but `re` never ends early.
    """
    import regex  # late: most runs have no pattern

    try:
        return regex.compile(_filled(text, variables, re.escape), regex.ASCII)
    except (regex.error, RecursionError, ValueError) as error:  # ValueError: flags that exclude each other
        raise Error(f"'{text}' is not a regular expression: {error}") from None


def _filled(text: str, variables: Variables, form: Callable[[str], str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in variables:
            raise Error(f"'{text}': nothing is known that {{{name}}} could stand for")
        return form(variables[name])

    return _PLACEHOLDER.sub(value, text)


def groups(match: regex.Match[str]) -> dict[str, str]:
    """The named groups of a match; those that took no part are empty."""
    return {name: value or "" for name, value in match.groupdict().items()}
