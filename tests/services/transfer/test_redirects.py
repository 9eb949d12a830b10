"""Where redirects may lead, and what goes along: sites and a proxy on loopback."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from tests.support.downloads import CONTENT, read, refused
from tests.support.scripted import Answer, Script, answer, whole
from tests.support.site import Switches, TestSite
from tests.support.tls import certificate, speak_tls

from openstack_image_manager.apply.import_method import ImportOptions
from openstack_image_manager.apply.sources import Sources
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Create, Role, Stage
from openstack_image_manager.report.console import PlainOutput
from openstack_image_manager.report.progress import Lines
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.transfer.redirects import ALLOWED_HOSTS

PUBLIC = "http://images.example.org/a.img"


def moved(location: str) -> Answer:
    return answer(302, b"", Location=location)


def test_ten_redirects_are_followed(site: TestSite, url: str) -> None:
    for number in range(1, 11):
        url = site.on(f"/{number}", Switches(redirect=(302, url)))
    assert read(url) == CONTENT
    assert "redirected 10 times, without an end" in refused(site.on("/11", Switches(redirect=(302, url))))


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/", "http://169.254.169.254/x", "http://[::1]/", "//127.1/"])
def test_a_public_site_does_not_send_us_inside(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    with serving(Script(moved(target), whole())) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/a.img"))
        said = refused(PUBLIC)
        assert len(proxy.asked) == 1
    assert f"{PUBLIC}: redirected to " in said
    assert f"if that is right, add {target.partition('//')[2].partition('/')[0].partition(':9')[0].strip('[]')}" in said


def test_a_name_that_turns_out_to_be_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name says nothing; the connection does, before a request is sent."""
    host = socket.gethostname()
    with serving(Script(whole())) as inside:
        inner = inside.url.replace("127.0.0.1", host)
        with serving(Script(moved(inner))) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/a.img"))
            monkeypatch.setenv("no_proxy", host)
            assert f"redirected to {inner}, an internal address (" in refused(PUBLIC)
            assert inside.asked == []
            for allowed in (host, "10.0.0.0/8 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16"):
                monkeypatch.setenv(ALLOWED_HOSTS, allowed)
                assert read(PUBLIC) == CONTENT


def test_from_https_to_http(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> None:
    both = certificate(tmp_path / "both.pem", "localhost")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "both.pem"))
    with serving(Script(moved(url))) as server:
        speak_tls(server, both)
        assert "redirected from https to http; use an address without that" in refused(
            server.url.replace("http://127.0.0.1", "https://localhost")
        )


def test_credentials_stay_with_their_host() -> None:
    with serving(Script(whole())) as other, serving(Script(moved("/b.img"), moved(other.url))) as first:
        asked = first.url.replace("http://", "http://u:geheim@")
        assert read(asked, headers={"X-Extra": "1"}) == CONTENT
        assert ["Authorization" in headers for headers in first.asked] == [True, True]
        assert ["Authorization" in headers for headers in other.asked] == [False]


def test_a_token_stays_with_its_host() -> None:
    with serving(Script(whole())) as other, serving(Script(moved(other.url))) as first:
        assert read(first.url, headers={"Authorization": "Bearer geheim"}) == CONTENT
        assert first.asked[0]["Authorization"] == "Bearer geheim"
        assert "Authorization" not in other.asked[0]


def for_glance(*urls: str) -> list[str]:
    """The addresses of a version (mirror last) that Glance may be told to fetch."""
    version = Version(version="1", url=urls[0], mirror_url=urls[1] if urls[1:] else None)
    wanted = Definition(name="A", format="raw", versions=[version])
    role = Role(True, False, False, Stage.KEEP, "", "private", False)
    create = Create(wanted, version, role, Image("A", "private"), "new")
    sources = Sources(ImportOptions(), threading.Event(), Lines(PlainOutput("stdout")))
    return sources.for_web_download(create, time.monotonic() + 60)


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/", "http://169.254.169.254/x", "ftp://example.org/x"])
def test_glance_is_not_sent_where_we_do_not_go(monkeypatch: pytest.MonkeyPatch, site: TestSite, target: str) -> None:
    """What cannot be reached from here may be in Glance's reach; what we refuse is not for Glance either."""
    mirror = site.put("/a.img", CONTENT)
    with serving(Script(moved(target))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/a.img"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(Error, match=f"{PUBLIC}: redirected to {target}.* not followed"):
            for_glance(PUBLIC)
        assert for_glance(PUBLIC, mirror) == [mirror]
        gone = site.on("/gone.img", Switches(status=404))
        assert for_glance(PUBLIC, gone) == [gone]


def test_glance_may_reach_what_we_do_not(site: TestSite) -> None:
    gone = site.on("/gone.img", Switches(status=404))
    assert for_glance(gone) == [gone]
    assert for_glance("http://127.0.0.1:9/a.img") == ["http://127.0.0.1:9/a.img"]
