"""The order of versions is that of natsort, as the existing tool has it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from natsort import natsort_keygen

from openstack_image_manager.definitions.naming import version_key

TEXTS = st.one_of(st.text(), st.text("0123456789.-r"), st.dates().map(lambda day: f"{day:%Y%m%d}"))


@given(st.lists(TEXTS))
@example(["20240416", "20240416.1", "9", "10", "1.10", "1.9", "", "r9", "007", "7", "٣", "²"])
def test_versions_sort_as_natsort_says(versions: list[str]) -> None:
    assert sorted(versions, key=version_key) == sorted(versions, key=natsort_keygen())
