"""A real browser for the tests of pages: started without a screen and without a network, and led like a person's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip


def start(profile: Path) -> Any:
    """Return a started browser, or skip the test with the reason."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next((path for name in names if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no browser here; install chromium and chromium-driver to test the pages")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(120)
    return started


def view(browser: Any, width: int, scheme: str) -> None:
    """Give the page a width in pixels, and light or dark colours."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def wait(browser: Any, condition: str) -> None:
    """Wait until an expression of the page's holds."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda driver: driver.execute_script(f"return {condition}"))


def settle(browser: Any) -> None:
    """Wait until nothing on the explorer has changed for a moment."""
    browser.execute_async_script(
        "const done = arguments[0], xp = document.getElementById('xp'); let timer = setTimeout(done, 250);"
        "new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 120); })"
        ".observe(xp, {subtree: true, childList: true, attributes: true, characterData: true})"
    )


def choose(browser: Any, name: str, value: str) -> None:
    """Set a control of the explorer as a person does, and wait until the page has taken it in."""
    browser.execute_script(
        "const e = document.getElementById('xp-' + arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event(e.type === 'range' ? 'input' : 'change', {bubbles: true}))",
        name, value,
    )  # fmt: skip
    settle(browser)


def press(browser: Any, selector: str) -> None:
    """Click on what a selector finds, and wait until the page has taken it in."""
    browser.execute_script("document.querySelector(arguments[0]).click()", selector)
    settle(browser)


def violations(browser: Any, script: str) -> list[Any]:
    """Return what the accessibility checker finds wrong."""
    browser.execute_script(script)
    hits = browser.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((r) => done(r.violations))"
    )
    return [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in hits]
