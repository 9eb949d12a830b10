"""Patterns that would try for ever are stopped, and named."""

from __future__ import annotations

import pytest

from openstack_image_manager.definitions.resolvers.placeholders import groups, pattern
from openstack_image_manager.errors import Error
from openstack_image_manager.upstreams.match_timeout import SECONDS, MatchTimer

ENDLESS = "(?P<version>(a|aa)+)b"


def test_a_pattern_that_ends_is_not_stopped() -> None:
    patience = MatchTimer()
    match = patience.match(pattern(ENDLESS, {}), "a" * 100 + "b", "steps[0].match", ENDLESS)
    assert match
    assert groups(match) == {"version": "a" * 100}
    wanted = pattern(r"x-(?P<version>\d+)", {})
    found = [patience.match(wanted, f"x-{number}", "steps[0].match", "") for number in range(30_000)]
    assert all(found)
    assert not patience.match(wanted, "y-1", "steps[0].match", "")


def test_one_that_would_not_is_named_with_its_place() -> None:
    with pytest.raises(Error) as caught:
        MatchTimer(0.05).match(pattern(ENDLESS, {}), "a" * 300, "steps[1].match", ENDLESS)
    assert str(caught.value) == (
        f"resolve.steps[1].match: '{ENDLESS}' was stopped after 0.05 seconds at '{'a' * 200}…': too many ways "
        "to match; avoid nested repetitions such as (a+)+"
    )


def test_all_names_together_have_that_time() -> None:
    """A hundred names that take a part of it each would take as long as one that never ends."""
    patience = MatchTimer(0.1)
    slow = pattern("(a|aa)+b", {})

    def all_of_them() -> None:
        for length in range(1, 100):
            patience.match(slow, "a" * length, "exclude[0]", "")

    with pytest.raises(Error, match=r"was stopped after 0\.1 seconds"):
        all_of_them()
    with pytest.raises(Error, match="'x' was stopped"):
        patience.match(pattern("x", {}), "x", "exclude[0]", "x")
    assert SECONDS > 1
