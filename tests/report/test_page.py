"""The page in a real browser: every control, no network, keyboard, dark, phone, and an accessibility check."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from browser import view, violations, wait

from xlprobe import plots
from xlprobe.report import page
from xlprobe.report.summary import TERMS

DRAWN = ("stability_by_layer", "attention_maps")


@pytest.fixture(scope="module")
def report(results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    for name in DRAWN:
        plots.save(plots.FIGURES[name](results), name, directory)
    text = page.render(results, DRAWN, directory, left_out={"routing": "no such rows"}, explorer="explorer.html")
    (directory / "report.html").write_text(text, encoding="utf-8")
    return directory / "report.html"


@pytest.fixture
def shown(browser: Any, report: Path) -> Any:
    """The page, freshly opened on a desk, in light colours."""
    view(browser, 1280, "light")
    browser.get(report.as_uri())
    return browser


def test_the_page_is_one_file_that_loads_nothing(shown: Any, report: Path) -> None:
    assert report.stat().st_size < 5_000_000
    asked = [json.loads(entry["message"])["message"] for entry in shown.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    # Pages of the browser itself come before ours.
    assert {url.split(":")[0] for url in urls} <= {"file", "data", "chrome", "chrome-untrusted"}
    assert (
        shown.execute_script("return performance.getEntriesByType('resource').filter((e) => e.duration > 0).length")
        == 0
    )
    assert [entry for entry in shown.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_the_page_shows_what_was_drawn_and_what_was_not(shown: Any) -> None:
    text = shown.find_element("tag name", "body").text
    for words in ("Stability by layer", "Attention maps of one problem", "no such rows", "12 problems from 6 theories"):
        assert words in text
    assert len(shown.find_elements("css selector", "figure svg")) == len(DRAWN)


def test_tables_sort_by_the_pressed_heading(shown: Any) -> None:
    shown.execute_script("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    table = "document.querySelector('table.sortable')"
    column = f"[...{table}.tHead.rows[0].cells].findIndex((e) => e.textContent.trim() === 'mean')"
    values = f"return [...{table}.tBodies[0].rows].map((r) => Number(r.cells[{column}].dataset.key))"
    for order in ("ascending", "descending"):
        shown.execute_script(f"{table}.tHead.rows[0].cells[{column}].querySelector('button').click()")
        numbers = shown.execute_script(values)
        assert numbers == sorted(numbers, reverse=order == "descending")
        assert shown.execute_script(f"return {table}.tHead.rows[0].cells[{column}].getAttribute('aria-sort')") == order


def test_a_phone_needs_no_sideways_scrolling(shown: Any, report: Path) -> None:
    view(shown, 360, "light")
    shown.get(report.as_uri())
    assert shown.execute_script("return document.documentElement.scrollWidth") <= 360
    assert shown.execute_script("return document.getElementById('contents').open") is False


def test_dark_is_dark(shown: Any, report: Path) -> None:
    light = shown.execute_script("return getComputedStyle(document.body).backgroundColor")
    view(shown, 1280, "dark")
    dark = shown.execute_script("return getComputedStyle(document.body).backgroundColor")
    lightness = [sum(map(int, text[4:-1].split(","))) for text in (light, dark)]
    assert lightness[0] > 600
    assert lightness[1] < 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(shown: Any, scheme: str) -> None:
    if find_spec("axe_core_python") is None:
        pytest.skip("axe-core-python is not installed: pip install '.[test]'")
    view(shown, 1280, scheme)
    assert violations(shown, (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")) == []


def test_the_contents_lead_to_every_figure_and_the_explorer(shown: Any) -> None:
    links = shown.execute_script("return [...document.querySelectorAll('nav a')].map((e) => e.hash.slice(1))")
    assert set(DRAWN) < set(links)
    assert all(shown.find_elements("id", name) for name in links)
    assert shown.execute_script("return document.querySelector('#explorer a').getAttribute('href')") == "explorer.html"


def test_provenance_is_folded(shown: Any) -> None:
    height = "return document.getElementById('provenance').offsetHeight / document.documentElement.scrollHeight"
    assert shown.execute_script(height) < 0.1


def test_a_table_is_saved_as_it_is_sorted(shown: Any) -> None:
    text = shown.execute_async_script(
        "const done = arguments[0]; document.querySelectorAll('details').forEach((e) => { e.open = true; });"
        "const table = document.querySelector('table.sortable');"
        "const column = [...table.tHead.rows[0].cells].findIndex((e) => e.textContent.trim() === 'mean');"
        "table.tHead.rows[0].cells[column].querySelector('button').click(); const real = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { blob.text().then(done); URL.createObjectURL = real; return real(blob); };"
        "table.closest('details').querySelector('button.export').click()"
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    means = [float(row["mean"]) for row in rows]
    assert len(means) > 10
    assert means == sorted(means)


def tip(browser: Any) -> str:
    """What the definition beside a word says; empty where none is shown."""
    script = "const e = document.getElementById('tip'); return e.checkVisibility() ? e.textContent : ''"
    return str(browser.execute_script(script))


def word(browser: Any, term: str) -> Any:
    return browser.find_element("css selector", f".sentences a[href='#term-{term}']")


def test_a_words_definition_is_a_hover_away(shown: Any) -> None:
    from selenium.webdriver import ActionChains

    one = word(shown, "floor")
    assert tip(shown) == ""
    ActionChains(shown).move_to_element(one).perform()
    assert tip(shown) == TERMS["floor"]
    box = shown.execute_script("return document.getElementById('tip').getBoundingClientRect().toJSON()")
    assert box["left"] >= 0
    assert box["right"] <= 1280
    assert box["bottom"] <= 900
    ActionChains(shown).move_to_element(shown.find_element("css selector", "h1")).perform()
    assert tip(shown) == ""


def test_a_words_definition_is_a_key_away(shown: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    keys = ActionChains(shown)
    described = "return document.activeElement.getAttribute('aria-describedby')"
    for _ in range(60):
        keys.send_keys(Keys.TAB).perform()
        if name := shown.execute_script(described):
            break
    assert tip(shown) == shown.find_element("id", name).text
    keys.send_keys(Keys.ESCAPE).perform()
    assert tip(shown) == ""
    keys.send_keys(Keys.ENTER).perform()
    assert shown.current_url.endswith("#" + name.removesuffix("-meaning"))


def test_a_words_definition_is_a_tap_away_on_a_phone(shown: Any, report: Path) -> None:
    view(shown, 390, "light")
    shown.get(report.as_uri())
    one = word(shown, "floor")
    shown.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", one)
    at = shown.execute_script("const r = arguments[0].getBoundingClientRect(); return [r.x + 5, r.y + 5]", one)
    shown.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        touch = {"touchPoints": [{"x": at[0], "y": at[1]}]}
        shown.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", **touch})
        shown.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        wait(shown, "!document.getElementById('tip').hidden")
    finally:
        shown.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert tip(shown) == TERMS["floor"]
    assert "#term" not in shown.current_url
    box = shown.execute_script("return document.getElementById('tip').getBoundingClientRect().toJSON()")
    assert box["left"] >= 0
    assert box["right"] <= 390


def test_captions_have_definitions_and_print_has_the_list(shown: Any) -> None:
    linked = "return [...document.querySelectorAll('figcaption a.term')].map((e) => e.hash)"
    assert "#term-stability" in shown.execute_script(linked)
    assert all(shown.find_elements("id", name[1:]) for name in shown.execute_script(linked))
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown.execute_script("document.getElementById('tip').hidden = false")
        assert tip(shown) == ""
        assert shown.find_element("id", "term-floor-meaning").is_displayed()
    finally:
        shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
