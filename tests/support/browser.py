"""A real Chromium without a window: the system's, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@contextmanager
def browsing() -> Iterator[Browser]:
    """The browser; script/bootstrap installs it."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, f"no browser here, none of {', '.join(NAMES)}; script/bootstrap says which package is missing"
    with sync_playwright() as playwright:
        # Without a user of its own, as in CI, Chromium can't build its sandbox; only pages of this test are opened.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
