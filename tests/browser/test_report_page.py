"""The page in Chromium, with the network blocked: no error, no serious barrier, tables sort, phones do not scroll."""

from pathlib import Path

import pytest

WIDTHS = {"desktop": 1280, "phone": 390}


def test_it_opens_without_network_and_without_complaint(open_page, page: Path) -> None:
    tab, asked, complaints = open_page()
    tab.wait_for_load_state()
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    assert tab.locator("h1").inner_text().startswith("How well can age")
    assert tab.locator("nav a").count() == tab.locator("main > section").count() + 1
    assert tab.evaluate("Array.from(document.images).every(image => image.naturalWidth > 0)")


def test_a_click_sorts_a_table_and_a_third_click_undoes_it(open_page) -> None:
    tab, _, complaints = open_page()
    table = tab.locator("#comparison-example-age-age-years table")

    def values():
        return [float(text.split("\n")[0]) for text in table.locator("tbody td:nth-child(2)").all_inner_texts()]

    before = values()
    button = table.get_by_role("button", name="MAE, years", exact=True)
    button.click()
    assert values() == sorted(before)
    assert table.locator("th[aria-sort=ascending]").count() == 1
    button.click()
    assert values() == sorted(before, reverse=True)
    button.click()
    assert values() == before
    model = table.get_by_role("button", name="Model", exact=True)
    model.focus()
    tab.keyboard.press("Enter")
    names = table.locator("tbody th").all_inner_texts()
    assert names == sorted(names)
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS.keys())
def test_no_serious_barrier(open_page, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    tab, _, _ = open_page(width, scheme)
    found = Axe().run(tab).response["violations"]
    serious = [
        (each["id"], each["help"], [node["html"][:160] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_a_phone_does_not_scroll_sideways(open_page) -> None:
    tab, _, _ = open_page(WIDTHS["phone"])
    assert tab.evaluate("document.documentElement.scrollWidth") <= WIDTHS["phone"]


def test_a_drawing_can_be_taken_as_a_file(open_page, tmp_path: Path) -> None:
    tab, _, complaints = open_page()
    with tab.expect_download() as download:
        tab.locator("#forest-example-age-age-years button").click()
    target = tmp_path / "figure.svg"
    download.value.save_as(target)
    text = target.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "var(" not in text
    assert complaints == []


def test_it_prints(open_page) -> None:
    tab, _, _ = open_page()
    assert tab.pdf(format="A4")[:5] == b"%PDF-"


def test_dark_turns_the_figures_too(open_page) -> None:
    ask = "getComputedStyle(document.querySelector('#forest-example-age-age-years text')).fill"
    light, dark = (open_page(scheme=scheme)[0].evaluate(ask) for scheme in ("light", "dark"))
    assert light != dark
