"""The frozen example laid out as a page, once a session, and Chromium with the network blocked to open it."""

from pathlib import Path

import example_page
import pytest

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
example, page = example_page.example, example_page.page


@pytest.fixture(scope="module")
def browser(chromium: str):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser, page: Path):
    contexts = []

    def opened(width: int = 1280, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        asked: list[str] = []
        complaints: list[str] = []
        tab = context.new_page()
        context.set_offline(True)

        def only_the_page(route):
            asked.append(route.request.url)
            route.continue_() if route.request.url.startswith(("file:", "data:", "blob:")) else route.abort()

        tab.route("**/*", only_the_page)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(page.as_uri())
        return tab, asked, complaints

    yield opened
    for context in contexts:
        context.close()
