"""How much a resolver may ask for: people who write definitions need not be people who are trusted."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from re import _parser  # type: ignore[attr-defined]  # the only parser of Python's expressions
from typing import Any

from openstack_image_manager.definitions.diagnostics import Loc
from openstack_image_manager.errors import Error, VerificationError

PATTERN = 1000  # characters of a regular expression, with its counted repeats written out
VALUE = 4096  # characters of one text or value
BUILD = 16 * 1024  # characters of all values of one build
LINE = 16 * 1024  # characters of a name or line that a regular expression is compared with
BUILDS = 10_000  # that one step may find
STEPS = 10
ENTRIES = 100  # of a list or mapping
NAME = 64  # characters of the name of a variable

_REPEATS = (_parser.MAX_REPEAT, _parser.MIN_REPEAT, _parser.POSSESSIVE_REPEAT)


def groups(text: str) -> list[str]:
    """The named groups of a regular expression. Raises Error for one that is wrong, or takes too much to compile.

    It is parsed as `re` does, which compiles nothing yet: the library regex writes counted repeats out, and knows
    recursion, which has no end.
    """
    if len(text) > PATTERN:
        raise Error(f"'{text[:40]}…' has {len(text)} characters, a regular expression has at most {PATTERN}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # [[ may be a set of sets one day
            parsed = _parser.parse(text, re.ASCII)
        length = _length(parsed)
    except (re.error, RecursionError, ValueError, OverflowError) as error:
        raise Error(f"'{text}' is not a regular expression: {error}") from None
    if length > PATTERN:
        raise Error(
            f"'{text}' has {length} characters with its repeats such as {{8}} written out, a regular expression has at "
            f"most {PATTERN}; write + or * for many"
        )
    return list(parsed.state.groupdict)


def _length(pattern: Any) -> int:
    """How long a parsed expression is, each counted repeat written out as often as it counts."""
    return max(1, sum(_length_of(operator, argument) for operator, argument in pattern))


def _length_of(operator: Any, argument: Any) -> int:
    """The length of one element of a parsed expression.

    Operators are compared by identity: they are integers too, and equal to group numbers and characters.
    """
    if any(operator is part for part in _REPEATS):
        low, high, repeated = argument
        times: int = low if high is _parser.MAXREPEAT else high
        return max(1, times) * _length(repeated)
    if operator is _parser.IN:
        return max(1, len(argument))
    if operator is _parser.BRANCH:
        return sum(map(_length, argument[1]))
    if isinstance(argument, tuple):  # of a group, a condition or a look ahead: numbers, and the expressions in it
        return max(1, sum(_length(part) for part in argument if isinstance(part, _parser.SubPattern)))
    return _length(argument) if isinstance(argument, _parser.SubPattern) else 1  # of an atomic group; a character


def problems(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """Paths and messages: texts that are too long, and lists and mappings that have too many entries."""
    if isinstance(value, str):
        if len(value) > VALUE:
            yield loc, f"has {len(value)} characters, at most {VALUE} can be"
        return
    parts: Sequence[tuple[str | int, Any]] = ()
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    most = STEPS if loc == ("steps",) else ENTRIES
    if len(parts) > most:
        yield loc, f"has {len(parts)} entries, at most {most} can be"
        return
    for key, part in parts:
        if isinstance(key, str) and len(key) > VALUE:
            yield loc, f"has a key of {len(key)} characters, at most {VALUE} can be"
        else:
            yield from problems(part, (*loc, key))


def check_build(name: str, values: Mapping[str, str]) -> None:
    """Refuse a build whose values take too much memory, which a step finds many of. Raises VerificationError."""
    length = len(name) + sum(map(len, values.values()))
    if length > BUILD:
        raise VerificationError(f"gives {length} characters for one build, at most {BUILD} can be")
