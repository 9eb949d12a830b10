"""The documentation as a site: it builds without a warning, pages and pictures are in it, others are asked nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.release.conftest import once
from tests.release.container import ROOT

pytestmark = pytest.mark.timeout(300)  # whoever comes first builds the site
DOCS = ROOT / "docs"
INDEX = (DOCS / "index.md").read_text(encoding="utf-8")
# In index.md each page has one line below the heading it belongs to. Decisions are linked from architecture.md.
TREES = dict(re.findall(r"```\{toctree\}\n:caption: ([^\n]*)\n:maxdepth: 1\n\n(.*?)```", INDEX, re.S))


class Page(HTMLParser):
    """What a page links to, and what it loads by itself."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value for key, value in attrs if value is not None}
        self.ids.update(values.get("id", "").split())
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif "src" in values:
            self.loads.append(values["src"])
        elif tag == "link" and "href" in values and values.get("rel") != "canonical":
            self.loads.append(values["href"])


@pytest.fixture(scope="module")
def site(shared: Path) -> Path:
    """The site, built once for all workers."""
    made = shared / "site"
    with once(made) as first:
        if first:
            options = ["--builder", "html", "--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
            trees = ["--doctree-dir", str(shared / "doctrees")]
            command = [sys.executable, "-m", "sphinx", *options, *trees, str(DOCS), str(made)]
            built = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
            assert (built.returncode, built.stderr) == (0, "")
    return made


def test_every_page_is_in_the_index_once() -> None:
    assert list(TREES) == ["Tutorial", "Guides", "Reference", "Explanation"]
    listed = [page for pages in TREES.values() for page in pages.split()]
    pages = [path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.glob("*.md")]
    assert sorted(listed) == sorted(
        [*(page for page in pages if page != "index"), "benchmarks/full", "benchmarks/again"]
    )


def test_every_page_is_in_the_site_and_its_links_lead_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    sources = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert sources <= {path.relative_to(site) for path in pages}
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{path.name}: {link}"


def test_decisions_are_in_the_site_but_not_in_its_menu_and_search(site: Path) -> None:
    menu = re.findall(r'class="reference internal" href="(.*?)"', (site / "index.html").read_text(encoding="utf-8"))
    assert "life-cycle.html" in menu
    assert [link for link in menu if "decisions" in link] == []
    assert "decisions/index.html" in Page(site / "architecture.html").links
    found = json.loads((site / "searchindex.js").read_text(encoding="utf-8").removeprefix("Search.setIndex(")[:-1])
    titles = dict(zip(found["docnames"], found["titles"], strict=True))
    assert titles["life-cycle"] == "Image lifecycle"
    assert {title for name, title in titles.items() if name.startswith("decisions/")} == {""}
    indexed = {
        number for places in found["terms"].values() for number in (places if isinstance(places, list) else [places])
    }
    assert [name for number, name in enumerate(found["docnames"]) if number in indexed and "decisions/" in name] == []


def test_the_site_loads_what_is_there_and_nothing_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        loaded = Page(path).loads
        assert loaded
        assert [each for each in loaded if urlsplit(each).netloc] == [], path.name
        local = [unquote(urlsplit(each).path) for each in loaded]
        assert [each for each in local if each and not (path.parent / each).is_file()] == [], path.name
    for sheet in site.rglob("*.css"):
        assert re.findall(r"url\(\s*['\"]?(?:https?:)?//[^)]*", sheet.read_text(encoding="utf-8")) == [], sheet.name
