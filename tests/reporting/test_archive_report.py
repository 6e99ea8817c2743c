"""The page on what the archives hold: counts known by construction, nothing of few patients, nothing that grows."""

import json
import re
from html import unescape
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import example_archive
import html5lib
import polars as pl
import pytest
from typer.testing import CliRunner

from xray_mining.catalog.merge import merge
from xray_mining.catalog.overview import overview, without_few
from xray_mining.cli import archive_report as _command  # noqa: F401  registers it
from xray_mining.cli import catalog as _commands  # noqa: F401  an app of one command takes no command's name
from xray_mining.cli.app import app
from xray_mining.errors import UserError
from xray_mining.records.findings import Findings
from xray_mining.records.images import Images
from xray_mining.records.unread_cells import UnreadCells
from xray_mining.reporting import archive_sections
from xray_mining.reporting.archive_page import archive_report
from xray_mining.reporting.count_figures import bars, pyramid
from xray_mining.reporting.page import section_modules
from xray_mining.workspace import Workspace


def load(path: Path):
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Workspace:
    return example_archive.write_archive(tmp_path_factory.mktemp("archive") / "workspace")


@pytest.fixture(scope="module")
def page(archive) -> Path:
    return Path(archive_report(archive).page)


@pytest.fixture(scope="module")
def words(page) -> str:
    text = re.sub(r"<(style|script)>.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", text)))


@pytest.fixture(scope="module")
def data(page) -> dict:
    return json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))


def test_counts_are_those_the_archive_was_made_with(data):
    tables = data["tables"]
    totals = tables["totals"][0]
    assert (totals["images"], totals["studies"], totals["patients"], totals["images_with_picture"]) == (
        240,
        240,
        120,
        240,
    )
    views = {(row["view_position"], row["view_source"]): row["images"] for row in tables["views"]}
    assert views == {("PA", "declared"): 199, ("AP", "inferred"): 41}
    assert {row["study_year"]: row["images"] for row in tables["years"]} == {2010: 120, 2011: 120}
    assert {row["manufacturer"]: row["patients"] for row in tables["makers"]} == {
        example_archive.SCRIPT: 60,
        "Philips": 60,
    }
    flags = {row["flag"]: row["images"] for row in tables["quality"] if row["images"]}
    assert flags == {"impossible_age": 2, "blank": 1, "border": 1, "burned_in": 1}
    assert {row["reason"]: row["rejects"] for row in tables["rejects"]} == {"empty_file": 3, "not_chest": 1}
    assert [(row["archive"], row["reason"], row["files"]) for row in tables["duplicates"]] == [
        ("second", "same_pixels", 1)
    ]
    assert [(row["images_up_to_20"], row["patients"]) for row in tables["images_per_patient"]] == [(2, 120)]
    assert [(row["gap"], row["pairs"]) for row in tables["gaps"]] == [("1 to 5 years", 120)]
    missing = {row["column_name"]: row["missing"] for row in tables["missing"] if row["missing"]}
    assert missing == {"patient_sex": 40, "age_years": 2}


def test_the_page_says_what_the_json_says(words):
    for sentence in (
        "240 images of 120 patients in 240 studies.",
        "The sex is missing in 40 of 240 images.",
        "2 images state an age that no patient can have (411Y).",
        "4 of 245 files or frames could not be used.",
        "1 of 245 files or frames shows what an earlier one shows.",
        "1 image is flagged blank.",
        "Only 0 of 40 rows are shown; the others have 240 images",
        "Burned-in text is declared by the header; pictures were not examined.",
        "2 images with a quality flag or burned-in text are never shown.",
    ):
        assert sentence in words, sentence


def test_every_alert_leads_to_what_shows_it(page):
    text = page.read_text(encoding="utf-8")
    alerts = re.findall(r'<span class="severity">(\w+)</span> <a href="#([\w-]+)">', text)
    assert len(alerts) == 7
    assert [severity for severity, _ in alerts] == sorted((severity for severity, _ in alerts), reverse=True)
    for _, anchor in alerts:
        assert f'<figure class="drawing" id="{anchor}"' in text


def test_a_check_that_fails_is_an_alert_that_leads_to_its_figure(tmp_path):
    made = example_archive.write_archive(tmp_path / "workspace", pictures=False)
    more = [example_archive.image(1000 + n, patient=n, shard=1, patient_sex="FM"[n // 2 % 2]) for n in range(60, 80)]
    Images.write(Images.from_rows(more), made.parts("first", "images") / "00001.parquet")
    text = Path(archive_report(made).page).read_text(encoding="utf-8")
    alert = (
        '<li class="warning"><span class="severity">warning</span> <a href="#archive-checks-figure">Check SEX001</a>'
    )
    assert f"{alert}: A patient has more than one sex, so ids may be mixed up: 20 found." in text
    assert '<figure class="drawing" id="archive-checks-figure"' in text


def test_few_patients_are_not_told_of(data, page):
    pyramid = {(row["patient_sex"], row["age_from"]): row for row in data["tables"]["pyramid"]}
    one = pyramid["M", 85]
    assert one["few"] and one["patients"] is None and one["images"] is None
    assert pyramid["M", 40]["few"], "the total would give the lone cell away"
    assert pyramid["M", 60]["patients"] == 25
    assert data["tables"]["sizes"] == [], "each size is that of a few patients"
    assert data["cut"]["sizes"] == {"listed": 0, "rows": 40, "left_out": 240}
    assert "patients" not in data["tables"]["impossible_ages"][0]
    assert not (page.with_suffix("") / "figures" / "archive-sizes-figure.svg").exists()


def test_no_key_and_no_text_that_is_no_age_leaves_the_workspace(archive, page):
    everything = [page, page.with_suffix(".json"), *page.with_suffix("").rglob("*.csv")]
    images = pl.read_parquet(archive.parts("first", "images") / "00000.parquet")
    hidden = {example_archive.SECRET} | {
        value for name in ("image_key", "study_key", "patient_key", "file_key") for value in images[name].head(50)
    }
    for path in everything:
        text = path.read_text(encoding="utf-8")
        assert not [each for each in hidden if each in text], path.name


def test_a_maker_named_script_is_escaped_everywhere(page):
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text and text.count("<script") == 1
    assert "Acme &lt;script&gt;alert(1)&lt;/script&gt; &amp; Sons" in text
    for figure in (page.with_suffix("") / "figures").glob("*.svg"):
        assert "<script" not in figure.read_text(encoding="utf-8")


def test_the_gallery_shows_full_strata_of_clean_pictures_only(archive, page):
    found = overview(archive)
    assert found.shown.group_by("patient_sex", "age_from").len().height == 4
    assert found.shown["patients"].min() >= found.least_patients
    images = pl.read_parquet(archive.parts("first", "images") / "00000.parquet")
    shown = images.join(found.shown, on="image_key", how="semi")
    assert shown["quality_flags"].list.len().sum() == 0 and set(shown["burned_in_text"]) == {"no"}
    assert shown["patient_key"].n_unique() == shown.height == 16
    assert len(list((page.with_suffix("") / "figures").glob("archive-gallery-*.png"))) == 16


def test_pictures_that_nobody_examined_for_letters_are_shown_only_where_asked(tmp_path):
    workspace = example_archive.write_archive(tmp_path / "workspace")
    path = workspace.parts("first", "images") / "00000.parquet"
    pl.read_parquet(path).with_columns(pl.lit(None, pl.String).alias("burned_in_text")).write_parquet(path)
    merge(workspace)
    assert overview(workspace).shown.is_empty()
    assert overview(workspace, unexamined=True).shown.height == 16
    said = archive_report(workspace)
    assert said.pictures == 0 and "--show-unexamined" in Path(said.page).read_text(encoding="utf-8")
    assert archive_report(workspace, show_unexamined=True).pictures == 16


def test_pictures_of_a_private_archive_wait_for_the_owners_word(tmp_path):
    workspace = example_archive.write_archive(tmp_path / "workspace")
    keys = workspace.private / "keys"
    keys.mkdir()
    for each in workspace.settings.archives.values():
        (keys / f"{each.domain}.key").write_text("ab" * 32)
    said = archive_report(workspace)
    text = Path(said.page).read_text(encoding="utf-8")
    assert said.pictures == 0
    assert "(private) are not shown without --show-unexamined" in text
    assert "burned-in text is declared by the header; pictures were not examined" in text
    assert archive_report(workspace, show_unexamined=True).pictures == 16


def test_tables_and_figures_lie_beside(page):
    beside = page.with_suffix("")
    text = page.read_text(encoding="utf-8")
    for folder, ending in (("tables", "csv"), ("figures", "svg")):
        files = list((beside / folder).glob(f"*.{ending}"))
        assert len(files) >= 10
        assert all(f'id="{file.stem}"' in text for file in files)


def test_headers_alone_make_a_page_that_says_why_it_has_no_pictures(tmp_path):
    workspace = example_archive.write_archive(tmp_path / "workspace", pictures=False)
    summary = archive_report(workspace)
    text = unescape(Path(summary.page).read_text(encoding="utf-8"))
    assert summary.pictures == 0
    assert "the archive was ingested with --metadata-only" in text
    assert "No picture was read" in text


def test_an_empty_workspace_has_a_page(tmp_path):
    summary = archive_report(Workspace.create(tmp_path / "workspace"))
    assert (summary.images, summary.alerts) == (0, ())
    assert "The archive has no patients." in Path(summary.page).read_text(encoding="utf-8")


def test_an_earlier_page_is_compared_with(archive, page, tmp_path):
    earlier = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    same = archive_report(archive, tmp_path / "same.html", page.with_suffix(".json"))
    assert "No count of this section differs" in Path(same.page).read_text(encoding="utf-8")
    earlier["tables"]["totals"][0]["images"] = 300
    for row in earlier["tables"]["views"]:
        row["images"] = {"PA": 290, "AP": 10}[row["view_position"]]
    (tmp_path / "earlier.json").write_text(json.dumps(earlier))
    changed = archive_report(archive, tmp_path / "changed.html", tmp_path / "earlier.json")
    assert "warning: 60 images fewer than on the earlier page." in changed.alerts
    assert any("most of all views: AP" in alert or "most of all views: PA" in alert for alert in changed.alerts)
    table = pl.read_csv(tmp_path / "changed/tables/archive-changes-shares.csv")
    points = dict(table.select("Images with", "Points").iter_rows())
    assert points["view: AP"] == pytest.approx(41 / 240 - 10 / 300)


@pytest.mark.parametrize("content", ["no json", "[]", '{"what": "else"}', "{}"])
def test_what_is_no_earlier_page_is_refused_in_a_sentence(archive, tmp_path, content):
    (tmp_path / "earlier.json").write_text(content)
    with pytest.raises(UserError, match=r"earlier\.json: "):
        archive_report(archive, tmp_path / "page.html", tmp_path / "earlier.json")
    assert not (tmp_path / "page.html").exists()


def test_an_earlier_page_that_is_not_there_is_refused(archive, tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        archive_report(archive, tmp_path / "page.html", tmp_path / "none.json")


def test_the_page_does_not_grow_with_the_archive(tmp_path):
    synthetic = load(Path(__file__).parents[1] / "benchmarks" / "synthetic_catalog.py")
    summary = archive_report(synthetic.write_catalog(tmp_path / "workspace", 200_000))
    assert summary.images == 197_939
    assert summary.bytes < 5e6
    assert Path(summary.data).stat().st_size < 1e6


def test_a_lone_small_cell_takes_the_next_smallest_with_it():
    table = pl.DataFrame({"name": ["a", "b", "c"], "patients": [3, 20, 30], "images": [5, 40, 60]})
    assert without_few(table, ("name",), (), 10)["patients"].to_list() == [None, None, 30]
    two = table.with_columns(patients=pl.Series([3, 4, 30]))
    assert without_few(two, ("name",), (), 10)["images"].to_list() == [None, None, None], "7 patients in all are few"
    enough = table.with_columns(patients=pl.Series([30, 9, 8]))
    assert without_few(enough, ("name",), (), 10)["patients"].to_list() == [30, None, None]
    assert without_few(table, ("name",), (), 3)["few"].sum() == 0


def test_the_command_prints_where_the_page_is(archive, tmp_path):
    target = tmp_path / "page.html"
    words = ["archive-report", "--workspace", str(archive.root), "--output", str(target)]
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert (told["page"], told["images"], told["bytes"]) == (str(target), 240, target.stat().st_size)
    assert f"archive-report: {target} (" in CliRunner().invoke(app, words).stdout


def test_every_section_has_a_place_of_its_own():
    orders = [module.ORDER for module in section_modules(archive_sections)]
    assert orders == sorted(set(orders))


def test_the_page_is_valid_html(page):
    html5lib.HTMLParser(strict=True).parse(page.read_text(encoding="utf-8"))


def _finding(number: int, name: str, **more):
    patient = number // 2
    row = {
        "image_key": example_archive.key("image", number),
        "study_key": example_archive.key("study", number),
        "unit": "",
    }
    row |= {
        "patient_key": example_archive.key("patient", patient),
        "name": name,
        "source": "set",
        "source_version": "1",
    }
    return row | more


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """The first 100 patients have an effusion or none, four of 50 a nodule; all have a score and a group."""
    workspace = example_archive.write_archive(tmp_path_factory.mktemp("labelled") / "workspace", pictures=False)
    # Of nobody: these are findings of images without a patient id, and count for no patient.
    unknown = [example_archive.image(2000 + n, patient=1000 + n, shard=1, patient_source="none") for n in range(15)]
    Images.write(Images.from_rows(unknown), workspace.parts("first", "images") / "00001.parquet")
    rows = [
        _finding(2 * patient, "effusion", value=1.0) | {"image_key": row["image_key"], "study_key": row["study_key"]}
        for patient, row in enumerate(unknown, start=1000)
    ]
    for number in range(0, 240, 2):
        patient = number // 2
        if patient < 100:
            rows.append(_finding(number, "effusion", value=float(patient % 4 == 0)))
            # The patient's second image says the same: it is one patient all the same.
            rows.append(_finding(number + 1, "effusion", value=float(patient % 4 == 0)))
            rows.append(_finding(number, "edema", value=(-1.0, 0.0, 1.0)[patient % 3]))
        if patient < 50:
            rows.append(_finding(number, "nodule", value=float(patient < 4)))
        label = "case" if patient < 60 else "control" if patient < 114 else f"<b>{example_archive.SECRET}</b>"
        rows.append(_finding(number, "diagnosis", value=0.0, label=label, source="outcomes"))
        rows.append(_finding(number, "score", value=patient / 7, unit="points", source="outcomes"))
    Findings.write(Findings.from_rows(rows), workspace.parts("first", "findings") / "00000.parquet")
    return archive_report(workspace)


def test_labels_and_linked_tables_are_counted_by_patient(labelled):
    tables = {path.stem: pl.read_csv(path) for path in Path(labelled.page).with_suffix("").glob("tables/*.csv")}
    labels = {row["Label"]: row for row in tables["archive-findings-labels"].iter_rows(named=True)}
    answers = ("Present", "Absent", "Uncertain", "Unknown")
    assert [str(labels["effusion"][each]) for each in answers] == ["25.0", "75.0", "0.0", "20.0"]
    # Four patients with a nodule are too few, and their number is not to be had from the others' either.
    assert [str(labels["nodule"][each]) for each in answers] == ["hidden", "hidden", "0.0", "70.0"]
    assert [str(labels["edema"][each]) for each in answers] == ["33.0", "33.0", "34.0", "20.0"]
    (number,) = tables["archive-findings-numbers"].iter_rows(named=True)
    assert (number["Number"], number["Source"], number["Unit"], number["Known"]) == ("score", "outcomes", "points", 120)
    groups = tables["archive-findings-groups"]
    assert groups["Value"].to_list() == ["case"], "the six others would tell of themselves beside the controls"
    assert example_archive.SECRET not in Path(labelled.page).read_text() + Path(labelled.data).read_text()


def test_cells_that_could_not_be_read_are_counted_by_column_and_reason(tmp_path):
    workspace = example_archive.write_archive(tmp_path / "w", pictures=False)
    row = {"archive": "first", "source": "generic", "shard": 0, "name": "study_date"}
    rows = [row | {"position": place, "reason": "ambiguous_date", "cells": 2} for place in range(30)]
    rows.append(row | {"position": 3, "name": "bilirubin_<b>", "reason": "bound", "cells": 1})
    UnreadCells.write(UnreadCells.from_rows(rows), workspace.parts("first", "unread_cells") / "00000.parquet")
    made = archive_report(workspace)
    text = Path(made.page).read_text(encoding="utf-8")
    section = text[text.index('id="unread-cells"') :]
    assert "61 cells are not empty but could not be read" in section
    assert "ambiguous date" in section and "bilirubin &lt;b&gt;" in section and "<b>" not in section
    found = json.loads(Path(made.data).read_text(encoding="utf-8"))["tables"]["unread_cells"]
    assert [(each["name"], each["reason"], each["cells"]) for each in found] == [
        ("study_date", "ambiguous_date", 60),
        ("bilirubin_<b>", "bound", 1),
    ]


def test_an_archive_whose_cells_could_all_be_read_says_so(words):
    assert "All cells about these images, in tables and headers, could be read." in words


def test_an_archive_without_labels_says_so(page):
    assert "the archive has none, and no table was linked" in page.read_text(encoding="utf-8")


def test_a_hidden_band_is_hatched_and_no_empty_one():
    def drawn(women):
        return pyramid("p", ["20", "25", "30"], women, [30, 30, 30], caption="", alternative="").svg

    assert "pattern" in drawn([40, None, 40]) and "pattern" not in drawn([40, 0, 40])
    # Of one length, whatever the largest of the hidden ones would be.
    wide, narrow = (
        bars("b", [("a", most), ("b", None)], label="", caption="", alternative="").svg for most in (9, 900)
    )
    assert "pattern" in wide and "hidden" in wide and "pattern" in narrow
