"""The explorer in a real browser, control by control: what it says against the patterns it was made of."""

from __future__ import annotations

import base64
import csv
import io
import json
import zlib
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import choose, press, settle, view, violations, wait

from xlprobe.plots.explorer import explorer_data
from xlprobe.plots.explorer.document import document

READY = "document.getElementById('xp').dataset.ready === 'yes'"


@pytest.fixture(scope="module")
def page(kept: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    path.write_text(document(explorer_data(kept)), encoding="utf-8")
    return path


@pytest.fixture
def shown(browser: Any, page: Path) -> Any:
    view(browser, 1280, "light")
    browser.get("about:blank")  # an address that differs only behind # is not loaded anew
    browser.get(page.as_uri())
    wait(browser, READY)
    return browser


def titles(browser: Any) -> list[str]:
    return [browser.execute_script(f"return document.getElementById('xp-title-{side}').textContent") for side in (0, 1)]


def slots(browser: Any, side: int) -> list[str]:
    script = f"return [...document.querySelectorAll('[data-side=\"{side}\"] .xp-slot')].map((e) => e.textContent)"
    return list(browser.execute_script(script))


def shares(browser: Any, side: int) -> list[float]:
    """The percentages that the page tells for the chosen places, highest first."""
    script = f"return [...document.querySelectorAll('[data-side=\"{side}\"] .xp-percent')].map((e) => e.textContent)"
    return [float(text.split()[0]) for text in browser.execute_script(script)]


def click(browser: Any, side: int, place: int, ctrl: bool = False) -> None:
    browser.execute_script(
        "document.querySelector(`[data-side=\"${arguments[0]}\"] [data-place=\"${arguments[1]}\"]`)"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true, ctrlKey: arguments[2]}))",
        side, place, ctrl,
    )  # fmt: skip
    settle(browser)


def item_of(browser: Any, checkpoint: str, context: str, question: str, problem: int = 0) -> dict[str, Any]:
    data = json.loads(browser.execute_script("return document.getElementById('explorer-data').textContent"))
    key = (checkpoint, context, question, problem)
    return next(i for i in data["items"] if (i["checkpoint"], i["context"], i["question"], i["problem"]) == key)


def weights_of(item: dict[str, Any], level: str, layer: int, head: int | None, term: str = "pattern") -> np.ndarray:
    """The matrix that the page must show, decoded here by other means, special tokens left out."""
    size = len(item["slotTexts"] if level == "unit" else item["tokens"])
    steps = 255 if level == "unit" else item["levels"]
    units = item["slotUnits"] if level == "unit" else [item["slotUnits"][slot] for slot in item["slots"]]

    def read(name: str) -> np.ndarray:
        raw = zlib.decompress(base64.b64decode(item[level][name][layer]))
        return (np.frombuffer(raw, np.uint8).reshape(item["heads"], size, size) / steps) ** 2

    whole = read("pattern") if "pattern" in item[level] else read("mono") + read("cross")
    picked = whole if term == "pattern" else read(term)
    text = np.array(units) >= 0
    scaled = np.where(text, picked, 0) / whole[..., text].sum(axis=-1, keepdims=True)
    return np.asarray((scaled if head is None else scaled[head : head + 1]).mean(axis=0))


def best(row: np.ndarray) -> list[float]:
    return sorted((round(100 * float(value), 1) for value in row), reverse=True)[:5]


def test_it_opens_by_token_and_says_the_numbers_of_the_pattern(shown: Any) -> None:
    choose(shown, "pair", "en-fr")
    choose(shown, "layer", "2")
    choose(shown, "head", "1")
    item = item_of(shown, "base", "en", "fr")
    place = slots(shown, 1).index("est")
    click(shown, 1, place)
    assert shares(shown, 1) == pytest.approx(best(weights_of(item, "token", 2, 1)[place]), abs=0.11)
    choose(shown, "head", "mean")
    assert shares(shown, 1) == pytest.approx(best(weights_of(item, "token", 2, None)[place]), abs=0.11)


def test_incoming_attention_is_the_column(shown: Any) -> None:
    choose(shown, "pair", "en-fr")
    place = slots(shown, 1).index("est")
    click(shown, 1, place)
    press(shown, "[name=xp-direction][value=in]")
    layer = int(shown.find_element("id", "xp-layer-shown").text)
    weights = weights_of(item_of(shown, "base", "en", "fr"), "token", layer, None)
    assert shares(shown, 1) == pytest.approx(best(weights[:, place]), abs=0.11)
    assert shown.execute_script("return document.querySelector('[data-side=\"1\"] .xp-row').textContent").startswith(
        "To "
    )


def test_several_places_are_summed(shown: Any) -> None:
    choose(shown, "pair", "en-fr")
    press(shown, "[name=xp-level][value=unit]")
    item = item_of(shown, "base", "en", "fr")
    places = [item["slotUnits"].index(0), item["slotUnits"].index(2)]
    click(shown, 1, places[0])
    click(shown, 1, places[1], ctrl=True)
    layer = int(shown.find_element("id", "xp-layer-shown").text)
    summed = weights_of(item, "unit", layer, None)[places].sum(axis=0)
    assert shares(shown, 1)[:3] == pytest.approx(best(summed)[:3], abs=0.15)
    assert "summed over 2" in shown.execute_script(
        "return document.querySelector('[data-side=\"1\"] .xp-row').textContent"
    )
    press(shown, "#xp-several")
    click(shown, 1, places[1])
    assert "summed" not in shown.execute_script(
        "return document.querySelector('[data-side=\"1\"] .xp-row').textContent"
    )


def test_words_hold_their_tokens(shown: Any) -> None:
    press(shown, "[name=xp-level][value=word]")
    item = item_of(shown, "base", "en", "fr")
    assert len(slots(shown, 1)) == max(item["words"]) + 1
    assert sum(shares(shown, 1)) > 0


def test_both_sides_share_one_colour_scale(shown: Any) -> None:
    click(shown, 1, 2)
    script = (
        "return [...document.querySelectorAll('.xp-slot')].filter((e) => e.title)"
        ".map((e) => [parseFloat(e.title), parseFloat((e.style.background.match(/\\/ ([\\d.]+)/) ?? [0, 0])[1])])"
    )
    pairs = np.array([pair for pair in shown.execute_script(script) if pair[0] > 0])
    top = pairs[:, 0].max()
    assert pairs[:, 1] == pytest.approx(0.75 * np.sqrt(pairs[:, 0] / top), abs=0.02)
    told = shown.execute_script("return document.querySelector('.xp-scale-text').textContent")
    assert f"{top:.1f} %" in told


def test_every_choice_changes_what_it_says(shown: Any) -> None:
    choose(shown, "pair", "en-ar")
    assert titles(shown) == ["In one language: English", "Across languages: English context, Arabic question"]
    choose(shown, "pair", "ar-en")
    assert titles(shown)[0] == "In one language: Arabic"
    press(shown, "[name=xp-level][value=unit]")
    assert "آن طيبة." in slots(shown, 0)
    assert shown.execute_script("return document.querySelector('[data-side=\"0\"] [lang=ar]').dir") == "rtl"
    for name, value in (("problem", "1"), ("checkpoint", "1"), ("layer", "0"), ("head", "2")):
        before = shares(shown, 1)
        choose(shown, name, value)
        assert shares(shown, 1) != before, name
    before = shares(shown, 1)
    press(shown, "#xp-special")
    assert shares(shown, 1) != before


def test_two_checkpoints_side_by_side(shown: Any) -> None:
    choose(shown, "compare", "checkpoints")
    assert [title.split(" · ")[0] for title in titles(shown)] == ["base", "crossed"]
    press(shown, "[name=xp-level][value=unit]")
    layer = int(shown.find_element("id", "xp-layer-shown").text)
    pair = shown.execute_script("return document.getElementById('xp-pair').value").split("-")
    for side, name in enumerate(("base", "crossed")):
        item = item_of(shown, name, *pair)
        place = int(
            shown.execute_script(
                f"return document.querySelector('[data-side=\"{side}\"] [aria-selected=true]').dataset.place"
            )
        )
        assert shares(shown, side)[:3] == pytest.approx(
            best(weights_of(item, "unit", layer, None)[place])[:3], abs=0.11
        )


def test_two_heads_side_by_side(shown: Any) -> None:
    choose(shown, "compare", "heads")
    choose(shown, "layer2", "0")
    choose(shown, "head2", "3")
    assert titles(shown)[1].startswith("Layer 0, head 3")
    assert shares(shown, 0) != shares(shown, 1)


def test_the_two_queries_sum_to_the_whole(shown: Any) -> None:
    assert shown.execute_script("return document.querySelector('[value=mono]').disabled") is True
    choose(shown, "checkpoint", "1")
    choose(shown, "pair", "en-fr")
    press(shown, "[name=xp-level][value=unit]")
    item = item_of(shown, "crossed", "en", "fr")
    layer = int(shown.find_element("id", "xp-layer-shown").text)
    row = item["slotUnits"].index(2)
    click(shown, 1, row)
    for term in ("mono", "cross"):
        press(shown, f"[name=xp-term][value={term}]")
        wanted = best(weights_of(item, "unit", layer, None, term)[row])[:3]
        assert shares(shown, 1)[:3] == pytest.approx(wanted, abs=0.11)
    assert "of the row by this query" in shown.execute_script(
        "return document.querySelector('[data-side=\"1\"] .xp-row').textContent"
    )


def test_the_overview_shows_every_head_and_picks_one(shown: Any) -> None:
    shown.execute_script("document.querySelector('.xp-overview').open = true")
    wait(shown, "document.querySelectorAll('.xp-thumb').length === 12")
    choose(shown, "order", "crossing")
    wait(shown, "document.querySelector('.xp-thumb span').textContent.includes('%')")
    told = shown.execute_script(
        "return [...document.querySelectorAll('.xp-thumb span')].map((e) => parseFloat(e.textContent.split(' ')[1]))"
    )
    assert told == sorted(told, reverse=True)
    choose(shown, "order", "stability")
    wait(shown, "!document.querySelector('.xp-thumb span').textContent.includes('%')")
    told = shown.execute_script(
        "return [...document.querySelectorAll('.xp-thumb')].map((e) => parseFloat(e.title.split('stability ')[1]))"
    )
    assert told == sorted(told)
    layer, head = shown.execute_script(
        "const e = document.querySelectorAll('.xp-thumb')[3]; e.click(); return [e.dataset.layer, e.dataset.head]"
    )
    settle(shown)
    assert shown.find_element("id", "xp-layer-shown").text == layer
    assert shown.execute_script("return document.getElementById('xp-head').value") == head


def test_a_link_restores_the_view(shown: Any, page: Path) -> None:
    choose(shown, "pair", "ar-en")
    choose(shown, "head", "2")
    choose(shown, "zoom", "3")
    press(shown, "[name=xp-direction][value=in]")
    click(shown, 1, 3)
    click(shown, 1, 5, ctrl=True)
    before = titles(shown), shares(shown, 0), shares(shown, 1)
    address = shown.execute_script("return location.href")
    shown.get("about:blank")
    shown.get(address)
    wait(shown, READY)
    assert (titles(shown), shares(shown, 0), shares(shown, 1)) == before
    assert shown.execute_script("return document.getElementById('xp-zoom').value") == "3"


@pytest.mark.parametrize(
    "words", ["problem=99&layer=-3&head=999&at=9.9", "problem=x&pair=xx-yy&level=evil&at=<b>", "%%%"]
)
def test_a_broken_link_opens_the_explorer(browser: Any, page: Path, words: str) -> None:
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#{words}")
    wait(browser, READY)
    assert len(shares(browser, 1)) == 5
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def saved(browser: Any, kind: str) -> str:
    """What a save button hands to the browser, as text."""
    return str(browser.execute_async_script(
        "const [kind, done] = arguments, real = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { URL.createObjectURL = real; const reader = new FileReader();"
        "reader.onload = () => done(reader.result);"
        "kind === 'png' ? reader.readAsDataURL(blob) : reader.readAsText(blob);"
        "return real(blob); }; document.getElementById('xp-' + kind).click()",
        kind,
    ))  # fmt: skip


def test_the_view_is_saved_as_csv_svg_and_png(shown: Any) -> None:
    choose(shown, "pair", "en-fr")
    rows = list(csv.DictReader(io.StringIO(saved(shown, "csv"))))
    layer = int(shown.find_element("id", "xp-layer-shown").text)
    for context, question in (("en", "en"), ("en", "fr")):
        item = item_of(shown, "base", context, question)
        size = len(item["tokens"])
        own = [row for row in rows if row["question_language"] == question]
        found = np.array([float(row["weight"]) for row in own]).reshape(size, size)
        assert found == pytest.approx(weights_of(item, "token", layer, None), abs=2e-5)
    drawing = saved(shown, "svg")
    assert drawing.startswith("<svg")
    assert "est" in drawing
    assert saved(shown, "png").startswith("data:image/png;base64,iVBOR")


def test_keys_move_and_add_on_both_sides(shown: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    press(shown, "[name=xp-level][value=unit]")
    click(shown, 1, 1)
    chosen = "return [...document.querySelectorAll('[aria-selected=true]')].map((e) => e.dataset.place)"
    assert shown.execute_script(chosen) == ["1", "1"]
    ActionChains(shown).send_keys(Keys.ARROW_DOWN).perform()
    assert shown.execute_script(chosen) == ["2", "2"]
    assert shown.execute_script("return document.activeElement.dataset.place") == "2"
    assert shown.find_element("id", "xp-live").get_attribute("textContent").startswith("From Bob is big.")
    ActionChains(shown).key_down(Keys.SHIFT).send_keys(Keys.ARROW_UP).key_up(Keys.SHIFT).perform()
    assert shown.execute_script(chosen) == ["1", "2", "1", "2"]
    ActionChains(shown).send_keys(Keys.HOME).perform()
    assert shown.execute_script(chosen) == ["0", "0"]
    # One stop of the tabulator per list, not one per sentence.
    assert len(shown.find_elements("css selector", '.xp-slot[tabindex="0"]')) == 2


def test_pointing_chooses_until_a_click_holds(shown: Any) -> None:
    from selenium.webdriver import ActionChains

    entries = shown.find_elements("css selector", '[data-side="0"] .xp-slot')
    ActionChains(shown).scroll_to_element(entries[1]).move_to_element(entries[3]).move_to_element(entries[2]).perform()
    chosen = (
        "return [...document.querySelectorAll('[data-side=\"0\"] [aria-selected=true]')].map((e) => e.dataset.place)"
    )
    assert shown.execute_script(chosen) == ["2"]
    ActionChains(shown).click(entries[2]).move_to_element(entries[4]).perform()
    assert shown.execute_script(chosen) == ["2"]


def test_pointing_at_the_map_chooses_its_row(shown: Any) -> None:
    shown.execute_script(
        "const c = document.querySelector('[data-side=\"1\"] canvas'), b = c.getBoundingClientRect();"
        "c.dispatchEvent(new MouseEvent('mousemove', {clientX: b.left + b.width / 2, clientY: b.top + b.height * 0.3}))"
    )
    settle(shown)
    size, strip = len(slots(shown, 1)), 1
    wanted = int(0.3 * (size + strip)) - strip
    place = "return document.querySelector('[data-side=\"1\"] [aria-selected=true]').dataset.place"
    assert abs(int(shown.execute_script(place)) - wanted) <= 1


def test_zoom_widens_the_map_inside_its_frame(shown: Any) -> None:
    width = "return document.querySelector('.xp-map canvas').clientWidth"
    before = shown.execute_script(width)
    choose(shown, "zoom", "4")
    assert shown.execute_script(width) > 2 * before
    assert shown.execute_script("return document.documentElement.scrollWidth") <= 1280


def test_a_phone_needs_no_sideways_scrolling(shown: Any, page: Path) -> None:
    view(shown, 360, "light")
    shown.get("about:blank")
    shown.get(page.as_uri())
    wait(shown, READY)
    assert shown.execute_script("return document.documentElement.scrollWidth") <= 360
    tops = shown.execute_script("return [...document.querySelectorAll('.xp-side')].map((e) => e.offsetTop)")
    assert tops[1] > tops[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(shown: Any, scheme: str) -> None:
    if find_spec("axe_core_python") is None:
        pytest.skip("axe-core-python is not installed: pip install '.[test]'")
    view(shown, 1280, scheme)
    shown.execute_script("document.querySelector('.xp-overview').open = true")
    settle(shown)
    assert violations(shown, (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")) == []
