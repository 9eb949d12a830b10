"""Documents of endoflife.date: what is taken from them, and that nothing else passes for one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.lifespans import DEBIAN_BEFORE, TABLES, document

from openstack_image_manager.endoflife.data import catalogue
from openstack_image_manager.endoflife.releases import EndRule, Product, Release, by_product, decode, releases
from openstack_image_manager.errors import Error

PRODUCTS = catalogue().products


def ends(product: str, lines: list[str] | None = None) -> dict[str, str | None]:
    read = releases(document(product, lines), PRODUCTS[product])
    return {each.name: each.end.isoformat() if each.end else None for each in read}


def said(data: Any, product: str = "almalinux") -> str:
    with pytest.raises(Error) as caught:
        releases(data, PRODUCTS[product])
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 200
    return message


def changed(**fields: Any) -> dict[str, Any]:
    """AlmaLinux's document with other fields in its first release; `...` takes one away."""
    data = document("almalinux")
    record = data["result"]["releases"][0]
    record |= fields
    for name, value in fields.items():
        if value is ...:
            del record[name]
    return data


def test_there_is_a_document_for_each_product() -> None:
    assert set(TABLES) == set(PRODUCTS)


def test_the_catalogue_names_no_other_products() -> None:
    named = {rule.product for rule in catalogue().rules} - {None}
    assert named == set(PRODUCTS)


@pytest.mark.parametrize(
    ("product", "release", "end"),
    [
        ("almalinux", "9", "2032-05-31"),
        ("alpine-linux", "3.22", "2027-05-01"),
        ("amazon-linux", "2023", "2029-06-30"),
        ("centos", "7", "2024-06-30"),
        ("centos-stream", "9", "2027-05-31"),
        ("debian", "12", "2028-06-30"),
        ("fedora", "43", "2026-12-09"),
        ("freebsd", "15.1", "2027-03-31"),
        ("opensuse", "16.0", "2027-10-31"),
        ("opnsense", "26.7", None),
        ("oracle-linux", "8", "2029-07-31"),
        ("rocky-linux", "10", "2035-05-31"),
        ("ubuntu", "24.04", "2029-05-31"),
    ],
)
def test_the_date_that_counts(product: str, release: str, end: str | None) -> None:
    assert ends(product)[release] == end


def test_the_free_long_term_support_of_debian_in_documents_of_either_meaning() -> None:
    assert ends("debian") == ends("debian", DEBIAN_BEFORE)
    assert ends("debian", ["14 2027-07-01 eol=2030-07-01", *DEBIAN_BEFORE])["14"] == "2030-07-01"


def test_long_term_support_is_read_where_it_matters() -> None:
    assert {each.name for each in releases(document("ubuntu"), PRODUCTS["ubuntu"]) if each.lts} == {
        "20.04",
        "22.04",
        "24.04",
        "26.04",
    }
    data = document("ubuntu")
    del data["result"]["releases"][0]["isLts"]
    assert said(data, "ubuntu") == "release 27.04: isLts is None, not true or false"
    del (other := document("almalinux"))["result"]["releases"][0]["isLts"]
    assert releases(other, PRODUCTS["almalinux"])


@pytest.mark.parametrize(
    ("release", "is_released", "is_over"),
    [
        (Release("1", date(2026, 1, 1)), True, False),
        (Release("1", date(2026, 1, 2), date(2026, 1, 2)), True, False),
        (Release("1", date(2026, 1, 3), date(2026, 1, 1)), False, True),
        (Release("1", date(2026, 1, 1), None, over=True), True, True),
        (Release("1", date(2026, 1, 1), date(2026, 1, 3), over=True), True, False),
    ],
)
def test_what_a_day_makes_of_a_release(release: Release, is_released: bool, is_over: bool) -> None:
    today = date(2026, 1, 2)
    assert (release.is_released(today), release.is_over(today)) == (is_released, is_over)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "has no result.releases; a document of API v1 is expected"),
        ([{"cycle": "9", "eol": "2032-05-31"}], "has no result.releases"),
        ({}, "has no result.releases"),
        ({"result": []}, "has no result.releases"),
        ({"result": {"name": "almalinux"}}, "has no result.releases"),
        ({"result": {"name": "almalinux", "releases": {}}}, "has no result.releases"),
        ({"result": {"name": "almalinux", "releases": []}}, "has no result.releases"),
        (document("ubuntu"), "is about 'ubuntu', not 'almalinux'"),
        ({"result": {"releases": [{"name": "9"}]}}, "is about None, not 'almalinux'"),
        ({"result": {"name": "almalinux", "releases": [None]}}, "contains a release without a valid name: None"),
        ({"result": {"name": "almalinux", "releases": [{}]}}, "contains a release without a valid name: None"),
        (changed(name=9), "contains a release without a valid name: 9"),
        (changed(name=""), "contains a release without a valid name: ''"),
        (changed(name="9\n\x1b[31m"), r"contains a release without a valid name: '9\n\x1b[31m'"),
        (changed(name="9" * 41), "contains a release without a valid name: '" + "9" * 38 + "…"),
        (changed(releaseDate=...), "release 10 has no releaseDate"),
        (changed(releaseDate=None), "release 10 has no releaseDate"),
        (changed(releaseDate="soon"), "release 10: releaseDate is 'soon', not a date YYYY-MM-DD"),
        (changed(releaseDate=True), "release 10: releaseDate is True, not a date YYYY-MM-DD"),
        (changed(eolFrom=...), "release 10 has no eolFrom"),
        (changed(eolFrom=["2030-01-01"]), "release 10: eolFrom is ['2030-01-01'], not a date YYYY-MM-DD"),
        (changed(eolFrom="2030-02-30"), "release 10: eolFrom is '2030-02-30', not a date YYYY-MM-DD"),
        (changed(eolFrom="2030-W01-1"), "release 10: eolFrom is '2030-W01-1', not a date YYYY-MM-DD"),
        (changed(eolFrom=None, isEol=None), "release 10: isEol is None, not true or false"),
        (changed(eolFrom=None, isEol="no"), "release 10: isEol is 'no', not true or false"),
    ],
)
def test_documents_that_are_none(data: Any, message: str) -> None:
    assert said(data).startswith(message)


def test_a_document_without_any_of_the_dates() -> None:
    product = replace(PRODUCTS["almalinux"], end=(EndRule("eoesFrom", where="eoesFrom"),))
    with pytest.raises(Error, match=r"has none of the dates eoesFrom$"):
        releases(document("almalinux"), product)


@pytest.mark.parametrize("text", ["", "<html>", '{"a": ', "[" * 100_000, "1" * 5000])
def test_text_that_is_not_json(text: str) -> None:
    with pytest.raises(Error, match=r"^is not JSON$"):
        decode(text)


def test_collections_of_documents() -> None:
    alma, debian = document("almalinux"), document("debian")
    assert by_product({"almalinux": alma, "debian": debian}) == {"almalinux": alma, "debian": debian}
    dump = by_product({"schema_version": "1.2.0", "result": [alma["result"], debian["result"], {"name": 1}, None]})
    assert list(dump) == ["almalinux", "debian"]
    assert ends("debian") == {
        each.name: each.end.isoformat() for each in releases(dump["debian"], PRODUCTS["debian"]) if each.end
    }
    assert by_product(alma) == {"almalinux": alma}
    assert by_product({"result": {"name": 1}}) == {"result": {"name": 1}}
    with pytest.raises(Error, match=r"^is not a mapping of products to documents"):
        by_product([alma])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[Product, Any]:
    """A document in which something has another value, or is gone."""
    product = PRODUCTS[draw(st.sampled_from(sorted(TABLES)))]
    data: Any = deepcopy(document(product.name))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = data
        for _ in range(draw(st.integers(0, 3))):
            inner = list(place.values()) if isinstance(place, dict) else place
            inner = [each for each in inner if isinstance(each, dict | list) and each]
            if not inner:
                break
            place = draw(st.sampled_from(inner))
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
        if draw(st.booleans()):
            place[key] = draw(VALUES)
        else:
            del place[key]
            if not place:
                break
    return product, data


@given(mutated())
def test_whatever_comes_is_read_or_refused_in_one_line(case: tuple[Product, Any]) -> None:
    product, data = case
    for form in (data, json.loads(json.dumps(data))):
        with suppress(Error), one_line():
            by_product(form)
            read = releases(form, product)
            assert all(isinstance(each.released, date) and isinstance(each.over, bool) for each in read)


@contextmanager
def one_line() -> Iterator[None]:
    """An Error that passes is a line that can be shown."""
    try:
        yield
    except Error as error:
        text = str(error)
        if not re.fullmatch(r"[ -~…]{5,200}", text):
            pytest.fail(f"not one line: {text!r}")
        raise


@given(VALUES)
def test_values_of_any_shape_are_no_documents(value: Any) -> None:
    assert said(value)
