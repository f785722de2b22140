"""A real browser, as the dashboard's tests use it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SCREENSHOTS = Path(__file__).parent.parent.parent / "results" / "screenshots"
"""Where pictures of the pages are kept for those who want to look at them. Not part of the repository."""

PATIENCE_MS = 10_000

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
)

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1100, "height": 740}


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Chromium without a window. While it is there, asyncio cannot be used in this thread."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Its sandbox does not work for root, and it opens nothing but our own pages here.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def a_page(browser: Browser, **options: object) -> Iterator[Page]:
    """A page of a browser that knows nothing yet. Whatever a page complains about fails the test."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC", **({"viewport": DESK} | options))  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)
    try:
        yield page
    finally:
        context.close()
    assert complaints == []
