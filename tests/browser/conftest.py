"""The frozen example laid out as a page, once a session, and Chromium with the network blocked to open it."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from xray_mining.reporting.page import write

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _example():
    spec = spec_from_file_location("example_study", Path(__file__).parents[1] / "reporting" / "example_study.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def example(tmp_path_factory) -> Path:
    return _example().write_example(tmp_path_factory.mktemp("evaluations") / "example")


@pytest.fixture(scope="session")
def page(example: Path) -> Path:
    target = example.parent / "reports" / "example.html"
    write(example, target)
    return target


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
