"""The page in a real browser: every control, no network, keyboard, dark, phone, and an accessibility check."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xlprobe import plots
from xlprobe.report import page

DRAWN = ("stability_by_layer", "attention_maps")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip
READY = "return document.getElementById('xp').dataset.ready"


@pytest.fixture(scope="module")
def report(results: Any, kept: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    for name in DRAWN:
        spec = plots.FIGURES[name]
        plots.save(spec.draw(results), name, directory, spec.table(results))
    text = page.render(
        results, DRAWN, directory, left_out={"routing": "no such rows"}, explorer_data=page.explorer_data(kept)
    )
    (directory / "report.html").write_text(text, encoding="utf-8")
    return directory / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no browser here; install chromium and chromium-driver to test the page")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chrome')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(120)
    yield started
    started.quit()


@pytest.fixture
def shown(browser: Any, report: Path) -> Any:
    """The page, freshly opened on a desk, in light colours, its explorer drawn."""
    view(browser, 1280, "light")
    browser.get(report.as_uri())
    wait(browser, f"{READY} === 'yes'")
    return browser


def view(browser: Any, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def wait(browser: Any, condition: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    script = condition if condition.startswith("return") else f"return {condition}"
    WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda driver: driver.execute_script(script))


def choose(browser: Any, name: str, value: str) -> None:
    """Set a control as a person does, and wait until the page has taken it in."""
    browser.execute_script(
        "const e = document.getElementById('xp-' + arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event(e.type === 'range' ? 'input' : 'change', {bubbles: true}))",
        name, value,
    )  # fmt: skip
    settle(browser)


def settle(browser: Any) -> None:
    """Wait until nothing on the explorer has changed for a moment."""
    browser.execute_async_script(
        "const done = arguments[0], xp = document.getElementById('xp'); let timer = setTimeout(done, 250);"
        "new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 120); })"
        ".observe(xp, {subtree: true, childList: true, attributes: true, characterData: true})"
    )


def titles(browser: Any) -> list[str]:
    return [browser.execute_script(f"return document.getElementById('xp-title-{side}').textContent") for side in (0, 1)]


def slots(browser: Any, side: int) -> list[str]:
    script = f"return [...document.querySelectorAll('[data-side=\"{side}\"] .xp-slot')].map((e) => e.textContent)"
    return list(browser.execute_script(script))


def shares(browser: Any, side: int) -> list[float]:
    """The percentages that the page tells for the chosen row, highest first."""
    script = f"return [...document.querySelectorAll('[data-side=\"{side}\"] .xp-percent')].map((e) => e.textContent)"
    return [float(text.split()[0]) for text in browser.execute_script(script)]


def data_of(browser: Any) -> dict[str, Any]:
    return json.loads(browser.execute_script("return document.getElementById('explorer-data').textContent"))


def unit_row(item: dict[str, Any], layer: int, row: int, head: int | None, term: str = "pattern") -> list[float]:
    """What the page must show for a row: decoded here by other means, special tokens left out."""

    def weights(name: str) -> np.ndarray:
        raw = zlib.decompress(base64.b64decode(item["unit"][name][layer]))
        size = len(item["slotTexts"])
        found = (np.frombuffer(raw, np.uint8).reshape(item["heads"], size, size) / 255.0) ** 2
        return found if head is None else found[head : head + 1]

    text = np.array(item["slotUnits"]) >= 0
    whole = weights("pattern")[:, row, text].sum(axis=1, keepdims=True)
    shown = (weights(term)[:, row, text] / whole).mean(axis=0)
    return sorted((round(100 * float(value), 1) for value in shown), reverse=True)[:5]


def item_of(data: dict[str, Any], checkpoint: str, context: str, question: str, problem: int = 0) -> dict[str, Any]:
    key = (checkpoint, context, question, problem)
    return next(i for i in data["items"] if (i["checkpoint"], i["context"], i["question"], i["problem"]) == key)


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


def test_rows_show_the_numbers_of_the_pattern(shown: Any) -> None:
    choose(shown, "pair", "en-fr")
    choose(shown, "layer", "2")
    choose(shown, "head", "1")
    item = item_of(data_of(shown), "base", "en", "fr")
    texts = slots(shown, 1)
    row = item["slotUnits"].index(2)
    assert texts[row] == "Bob est grand."
    chosen = shown.execute_script("return document.querySelector('[data-side=\"1\"] [aria-selected=true]').textContent")
    assert chosen == "Bob est grand."
    assert shares(shown, 1)[:3] == pytest.approx(unit_row(item, 2, row, 1)[:3], abs=0.11)
    choose(shown, "head", "mean")
    assert shares(shown, 1)[:3] == pytest.approx(unit_row(item, 2, row, None)[:3], abs=0.11)


def test_every_choice_changes_what_it_says(shown: Any) -> None:
    choose(shown, "pair", "en-ar")
    assert titles(shown) == ["In one language: English", "Across languages: English context, Arabic question"]
    choose(shown, "pair", "ar-en")
    assert titles(shown)[0] == "In one language: Arabic"
    assert "آن طيبة." in slots(shown, 0)
    direction = "return document.querySelector('[data-side=\"0\"] [lang=ar]').dir"
    assert shown.execute_script(direction) == "rtl"
    before = shares(shown, 1)
    choose(shown, "problem", "1")
    assert shares(shown, 1) != before
    before = shares(shown, 1)
    choose(shown, "checkpoint", "1")
    assert shares(shown, 1) != before
    before = shares(shown, 1)
    choose(shown, "layer", "0")
    assert shares(shown, 1) != before
    assert shown.find_element("id", "xp-layer-shown").text == "0"


def press(browser: Any, selector: str) -> None:
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)
    settle(browser)


def test_the_two_queries_sum_to_the_whole(shown: Any) -> None:
    assert shown.execute_script("return document.querySelector('[value=mono]').disabled") is True
    choose(shown, "checkpoint", "1")
    choose(shown, "pair", "en-fr")
    item = item_of(data_of(shown), "crossed", "en", "fr")
    layer = int(shown.find_element("id", "xp-layer-shown").text)
    row = item["slotUnits"].index(2)
    for term in ("mono", "cross"):
        press(shown, f"[name=xp-term][value={term}]")
        assert shares(shown, 1)[:3] == pytest.approx(unit_row(item, layer, row, None, term)[:3], abs=0.11)
    text = "return document.querySelector('[data-side=\"1\"] .xp-row').textContent"
    assert "of the row by this query" in shown.execute_script(text)


def test_tokens_and_special_tokens(shown: Any) -> None:
    units = len(slots(shown, 1))
    press(shown, "[name=xp-level][value=token]")
    assert len(slots(shown, 1)) > units
    assert "est" in slots(shown, 1) or "طيبة." in slots(shown, 1) or "kind." in slots(shown, 1)
    before = shares(shown, 1)
    press(shown, "#xp-special")
    assert shares(shown, 1) != before


def test_pointing_and_keys_choose_rows_on_both_sides(shown: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    entries = shown.find_elements("css selector", '[data-side="0"] .xp-slot')
    # From another one, so that the pointer moves wherever it was before.
    ActionChains(shown).scroll_to_element(entries[1]).move_to_element(entries[2]).move_to_element(entries[1]).perform()
    chosen = "return [...document.querySelectorAll('[aria-selected=true]')].map((e) => e.dataset.place)"
    assert shown.execute_script(chosen) == ["1", "1"]
    shown.execute_script("document.querySelector('[data-side=\"1\"] [aria-selected=true]').focus()")
    ActionChains(shown).send_keys(Keys.ARROW_DOWN).perform()
    assert shown.execute_script(chosen) == ["2", "2"]
    assert shown.execute_script("return document.activeElement.dataset.place") == "2"
    assert shown.find_element("id", "xp-live").get_attribute("textContent").startswith("From Bob is big.")
    ActionChains(shown).send_keys(Keys.HOME).perform()
    assert shown.execute_script(chosen) == ["0", "0"]
    # One stop of the tabulator per list, not one per sentence.
    assert len(shown.find_elements("css selector", '.xp-slot[tabindex="0"]')) == 2


def test_pointing_at_the_map_chooses_its_row(shown: Any) -> None:
    shown.execute_script(
        "const c = document.querySelector('[data-side=\"1\"] canvas'), b = c.getBoundingClientRect();"
        "c.dispatchEvent(new MouseEvent('mousemove', {clientX: b.left + b.width / 2, clientY: b.top + b.height * 0.3}))"
    )
    settle(shown)
    size, strip = len(slots(shown, 1)), 1
    wanted = int(0.3 * (size + strip)) - strip
    chosen = "return document.querySelector('[data-side=\"1\"] [aria-selected=true]').dataset.place"
    assert abs(int(shown.execute_script(chosen)) - wanted) <= 1


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
    wait(shown, f"{READY} === 'yes'")
    assert shown.execute_script("return document.documentElement.scrollWidth") <= 360
    tops = shown.execute_script("return [...document.querySelectorAll('.xp-side')].map((e) => e.offsetTop)")
    assert tops[1] > tops[0]


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
    settle(shown)
    shown.execute_script((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = shown.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((r) => done(r.violations))"
    )
    told = [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found]
    assert told == []
