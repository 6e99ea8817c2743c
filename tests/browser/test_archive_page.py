"""The archive's page in Chromium, with the network blocked: light and dark, wide and narrow."""

from pathlib import Path

import pytest
from example_archive import write_archive

from xray_mining.reporting.archive_page import archive_report

WIDTHS = {"desktop": 1300, "phone": 390}


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """In the place of the study's page: `open_page` opens this one."""
    workspace = write_archive(tmp_path_factory.mktemp("archive") / "workspace")
    return Path(archive_report(workspace).page)


def test_it_opens_without_network_and_without_complaint(open_page, page: Path) -> None:
    tab, asked, complaints = open_page()
    tab.wait_for_load_state()
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    assert tab.locator("h1").inner_text() == "What 2 archives hold"
    assert tab.evaluate("Array.from(document.images).every(image => image.naturalWidth > 0)")
    assert tab.locator("figure.gallery img").count() == 16


def test_an_alert_leads_to_its_figure(open_page) -> None:
    tab, _, _ = open_page()
    tab.locator(".alerts a", has_text="Impossible ages").click()
    assert tab.evaluate("location.hash") == "#archive-ages-figure"
    assert tab.locator("#archive-ages-figure svg").is_visible()


def test_its_tables_sort(open_page) -> None:
    tab, _, _ = open_page()
    table = tab.locator("#archive-quality table")

    def values():
        """The counts in the order of the rows; None for a dash or 'hidden', whose number is not printed."""
        said = [
            text.split("\n")[0].replace(",", "") for text in table.locator("tbody td:nth-child(2)").all_inner_texts()
        ]
        return [int(each) if each.isdecimal() else None for each in said]

    before = values()
    table.get_by_role("button", name="Images", exact=True).click()
    known = sorted(each for each in before if each is not None)
    assert len(known) > 1, "something is there to be sorted"
    assert values() == known + [None] * (len(before) - len(known)), "what is not printed comes last"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_no_serious_barrier_and_no_sideways_scroll(open_page, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    tab, _, complaints = open_page(width, scheme)
    found = Axe().run(tab).response["violations"]
    serious = [(each["id"], each["help"]) for each in found if each["impact"] in ("serious", "critical")]
    assert serious == []
    assert complaints == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
