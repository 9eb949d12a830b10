"""The site for tenants in a real browser: it renders, is found, copied and read by everyone, and asks nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.support import offered
from tests.support.browser import browsing
from tests.support.plans import definition

from openstack_image_manager.site import writer

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
PAGES = ("index.html", "distributions/fedora.html", "images/ubuntu-24.04.html", "images/fedora-43.html")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class Address(str):
    """Where a site is served; `folder`: its files."""

    folder: Path


@contextmanager
def served(made: Path, files: dict[str, bytes]) -> Iterator[Address]:
    writer.write(made, files)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(made))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = Address(f"http://127.0.0.1:{server.server_address[1]}/")
        address.folder = made
        yield address
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Two clouds with all that there can be: releases that end, images in no list, names that are long."""
    retiring = definition(
        "Fedora 43",
        ("20261001", "20261101"),
        meta={"os_distro": "fedora", "os_version": "43", "uuid_validity": "none", "architecture": "x86_64"},
    )
    ended = definition("Debian 11", ("20260801",), meta={"os_distro": "debian", "os_version": "11"})
    own = definition(
        "Our own image with a name that is rather long <&>",
        ("2026.11.01-build.4711-with-a-long-version",),
        multi=False,
        meta={"os_distro": "own", "provided_until": "2026-12-24"},
        visibility="community",
    )
    wanted = [*offered.definitions(3), retiring, ended, own]
    files = offered.files(offered.surveyed(wanted, "north", "south", title="Images of two clouds"))
    with served(tmp_path_factory.mktemp("site"), files) as address:
        yield address


@contextmanager
def opened(browser: Browser, site: Address, path: str = "index.html", **context: Any) -> Iterator[Page]:
    """A page in a window of its own that may go nowhere else, and that has no errors."""
    errors: list[str] = []

    def answered(answer: Any) -> None:
        if answer.status > 399 or not answer.url.startswith(site):
            errors.append(f"{answer.status} {answer.url}")

    def said(message: Any) -> None:
        if message.type in ("error", "warning"):
            errors.append(message.text)

    around = browser.new_context(**{"viewport": DESKTOP, **context})
    around.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    page = around.new_page()
    page.on("console", said)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(f"failed: {request.url}"))
    page.on("response", answered)
    try:
        page.goto(site + path)
        yield page
        assert errors == []
    finally:
        around.close()


def visible_rows(page: Page) -> list[str]:
    return page.locator("tr[data-search]:visible th").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everyone_can_read_every_kind_of_page(browser, site, scheme, viewport):
    with opened(browser, site, color_scheme=scheme, viewport=viewport) as page:
        grounds = set()
        for path in PAGES:
            page.goto(site + path)
            for details in page.locator("details").all():
                details.evaluate("each => { each.removeAttribute('name'); each.open = true; }")
            page.set_viewport_size({**viewport, "height": 7000})  # what is out of sight is not drawn, nor looked at
            found = Axe().run(page, options={"resultTypes": ["violations"]})
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
            assert page.locator("h1").count() == 1
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert grounds == {"rgb(250, 250, 248)" if scheme == "light" else "rgb(19, 22, 26)"}


def test_search(browser, site):
    with opened(browser, site) as page:
        everything = len(visible_rows(page))
        assert everything == 58
        page.keyboard.press("/")
        page.keyboard.type("DEBIAN 13 aarch64")
        expect(page.locator("#found")).to_have_text("1 image found")
        assert visible_rows(page) == ["Debian 13 aarch64"]
        expect(page.locator("#status")).to_have_text("1 image found")
        assert page.locator("section.distribution:visible").count() == 1
        page.reload()
        expect(page.locator("#found")).to_have_text("1 image found")
        page.locator("#search").press("Enter")
        expect(page.get_by_role("link", name="Debian 13 aarch64")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Debian 13 aarch64")
        older = page.locator("#earlier ~ * code").first.inner_text()
        page.goto(site)
        page.get_by_label("Search images").fill(older)
        expect(page.locator("#found")).to_have_text("1 image found")
        assert visible_rows(page) == ["Debian 13 aarch64"]
        page.get_by_label("Search images").fill("no such image")
        expect(page.get_by_text("No image matches.")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#found")).to_have_text("")
        assert len(visible_rows(page)) == everything
        assert "?" not in page.url


def test_copying(browser, site):
    with opened(browser, site, "images/debian-13.html", permissions=["clipboard-read", "clipboard-write"]) as page:
        snippet = page.locator("details").first
        button = snippet.get_by_role("button")
        button.click()
        expect(button).to_have_text("Copied")
        expect(page.locator("#status")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == snippet.locator("code").inner_text()
        page.locator("dd .digest + button").first.press("Enter")
        digest = page.locator("dd .digest").first
        page.wait_for_function(
            "async text => (await navigator.clipboard.readText()) === text", arg=digest.get_attribute("data-copy")
        )


def test_where_copying_is_not_allowed_the_text_is_selected(browser, site):
    with opened(browser, site, "images/debian-13.html") as page:
        page.evaluate(
            "Object.defineProperty(navigator, 'clipboard', {value: {writeText: () => Promise.reject(new Error('no'))}})"
        )
        code = page.locator("details code").first
        page.locator("details button").first.click()
        expect(page.locator("#status")).to_contain_text("the text is selected")
        assert page.evaluate("getSelection().toString()").strip() == code.inner_text()


def test_keyboard(browser, site):
    with opened(browser, site, "images/debian-13.html") as page:
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to content")
        expect(skip).to_be_focused()
        assert skip.bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="All images")).to_be_focused()
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.locator("summary", has_text="Ansible").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("openstack.cloud.server:")).to_be_visible()
        expect(page.get_by_text("openstack server create")).to_be_hidden()


def test_without_scripts_everything_can_be_read(browser, site):
    with opened(browser, site, java_script_enabled=False) as page:
        assert page.locator("tr[data-search]").count() == 58
        assert page.locator("button, #search").filter(visible=True).count() == 0
        page.locator("tr[data-search] a", has_text="Debian 13 aarch64").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Debian 13 aarch64")
        page.locator("summary", has_text="Terraform").click()
        expect(page.get_by_text("openstack_images_image_v2")).to_have_count(1)
        assert page.locator("button").count() == 0


def test_it_also_works_from_a_disk(browser, site):
    at_home = Address(site.folder.as_uri() + "/")
    at_home.folder = site.folder
    with opened(browser, at_home) as page:
        page.get_by_label("Search images").fill("fedora 43")
        expect(page.locator("#found")).to_have_text("1 image found")
        page.get_by_role("link", name="Fedora 43").click()
        expect(page.locator(".badge").first).to_have_text("ends soon")


def test_two_thousand_images_are_fast(browser, tmp_path):
    wanted = offered.many(2000, builds=1)
    with served(tmp_path, offered.files(offered.surveyed(wanted))) as site, opened(browser, site) as page:
        timing = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        assert timing < 20_000  # milliseconds; a quarter of a second on an idle machine
        taken = page.evaluate(
            """async () => {
              const input = document.getElementById('search'), found = document.getElementById('found');
              const begin = performance.now();
              input.value = 'debian aarch64';
              input.dispatchEvent(new Event('input'));
              while (!found.textContent) await new Promise((done) => requestAnimationFrame(done));
              return performance.now() - begin;
            }"""
        )
        assert taken < 10_000
        print(f"\nfirst page after {timing:.0f} ms, search {taken:.0f} ms")
        assert len(visible_rows(page)) == sum("Debian" in each.name and "aarch64" in each.name for each in wanted)
