"""The checks of `doctor` on URLs: answers, checksum files, and downloads by Glance."""

from __future__ import annotations

import pytest
from tests.support.bare import definition, version

from openstack_image_manager.doctor import sites
from openstack_image_manager.doctor.needs import Answer
from openstack_image_manager.doctor.sites import Fetch


def reached(*answers: Answer) -> dict[str, Answer]:
    return {answer.url: answer for answer in answers}


def test_addresses() -> None:
    both = definition(version("1", "http://x/1", mirror_url="http://m/1"), version("2", "http://x/2"))
    wanted = [(both, each) for each in both.versions]
    answers = reached(
        Answer("http://m/1", failure="http://m/1: 404 Not Found"),
        Answer("http://x/1"),
        Answer("http://x/2", refuses_glance="403 Forbidden"),
    )
    checks = sites.reachability([both], answers, wanted)
    assert [(check.state, check.what) for check in checks] == [
        ("ok", "2 of 3 URLs answer from this machine"),
        ("warning", "A 1: http://m/1: 404 Not Found; its upstream is used instead"),
        ("warning", "http://x/2 refuses Python's urllib (403 Forbidden), which web-download uses"),
    ]
    gone = reached(*(Answer(url, failure=f"{url}: gone") for url in answers))
    assert [check.state for check in sites.reachability([both], gone, wanted)] == ["problem"] * 3
    later = sites.reachability([both], gone, [])
    assert [check.what.partition("; ")[2] for check in later] == [
        "its upstream is used instead",
        "it is not needed now",
        "it is not needed now",
    ]
    assert [check.what for check in sites.reachability([], {}, [])] == ["0 of 0 URLs answer from this machine"]


def test_checksum_files() -> None:
    sums = {"checksums_url": "http://x/SUMS"}
    own = version("2", "http://x/2", checksum="sha256:" + "0" * 64, **sums)
    both = definition(version("1", "http://x/1", **sums), own)
    gone = Answer("http://x/SUMS", failure="http://x/SUMS: 404 Not Found", is_text=True)
    answers = reached(Answer("http://x/1"), Answer("http://x/2"), gone)
    found = sites.reachability([both], answers, [(both, each) for each in both.versions])
    assert [(check.state, check.topic, check.what) for check in found] == [
        ("ok", "addresses", "2 of 3 URLs answer from this machine"),
        ("problem", "checksum file", "A 1: http://x/SUMS: 404 Not Found"),
    ]
    (_, later) = sites.reachability([both], answers, [])
    assert (later.state, later.what.partition("; ")[2]) == ("warning", "no import needs it now")
    read = reached(Answer("http://x/1"), Answer("http://x/2"), Answer("http://x/SUMS", is_text=True))
    assert [check.state for check in sites.reachability([both], read, [])] == ["ok"]


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        ("https://x.example", None),
        ("http://x.example:80", None),
        ("https://x.example:8443", "port 8443"),
        ("http://127.0.0.1", "host 127.0.0.1"),
        ("http://[::1]", "host ::1"),
        ("http://169.254.169.254", "host 169.254.169.254"),
        ("http://localhost", "host localhost"),
        ("http://192.0.2.1", None),
    ],
)
def test_the_default_filter_of_glance(origin: str, refused: str | None) -> None:
    assert sites.by_default(origin) == refused


def test_web_download_is_reported_by_site() -> None:
    urls = ["https://a.example/1", "https://a.example/2", "http://user:secret@b.example:81/1", "ftp://c/1", "file:///d"]
    origins = sites.origins(urls)
    assert origins == {
        "http://b.example:81": ["http://user:secret@b.example:81/1"],
        "https://a.example": ["https://a.example/1", "https://a.example/2"],
    }
    unasked = sites.filters(origins, None)
    assert [(check.topic, check.state) for check in unasked] == [
        ("web-download from http://b.example:81", "warning"),
        ("web-download", "unknown"),
    ]
    assert "https://a.example; the setting of this cloud is unknown" in unasked[1].what
    assert sites.filters([], None) == []
    asked = sites.filters(origins, {"https://a.example": Fetch(True, "yes"), "http://b.example:81": Fetch(False, "no")})
    assert [(check.state, check.what) for check in asked] == [("ok", "yes"), ("warning", "no")]
