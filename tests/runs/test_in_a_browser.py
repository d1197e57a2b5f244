"""A report looked at: opened in a headless Chromium, spoken to over a pipe in its own protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from progressive.runs.html import write_report

#: Where screenshots go, for people to look at; not in the repository.
ARTEFACTS = Path(__file__).parents[2] / "artefacts"

#: Names under which systems install it.
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page in a browser that can reach nothing but files.

    Attributes:
        errors: what it complained of: console, log and exceptions.
        requests: addresses it asked for.
    """

    def __init__(self, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        arguments = [
            *(find_browser(), "--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--remote-debugging-pipe", f"--user-data-dir={profile}", "--hide-scrollbars"),
            *("--proxy-server=127.0.0.1:9", "--disable-dev-shm-usage", "about:blank"),
        ]

        # The protocol's pipe: it reads from 3 and writes to 4.
        shell = [
            "bash",
            "-c",
            f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@"',
            "bash",
            *arguments,
        ]
        self.process = subprocess.Popen(
            shell,
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out, self._next, self._buffer = ours_in, ours_out, 0, b""
        self._session: str | None = None
        self.errors: list[str] = []
        self.requests: list[str] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, width: int, *, dark: bool = False) -> None:
        """Show a page in a window of a width in pixels, and wait until its images are there."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=page.as_uri())
        while self.evaluate("document.readyState") != "complete":
            time.sleep(0.02)
        decoded = (
            "Promise.allSettled([...document.images].map(i => i.decode())).then(a => a.length)"
        )
        self.evaluate(decoded)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression is, waiting for a promise."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        self._session = None
        self.call("Browser.close")
        self.process.wait(20)
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result, noting the events that come before it."""
        self._next += 1
        message = {"id": self._next, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._next:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._in], [], [], 60)[0], "the browser does not answer"
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "the browser is gone"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event["method"] in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"}:
            self.errors.append(json.dumps(parameters))
        elif event["method"] == "Log.entryAdded":
            self.errors.append(parameters["entry"]["text"])
        elif event["method"] == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find_browser() is None:
        pytest.skip("no Chromium here; scripts/test installs it as root on Debian")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(make_run, tmp_path_factory):
    """Return the pages of a run and of a comparison, with what a hostile name would bring."""
    folder = tmp_path_factory.mktemp("runs")
    hostile = "<img src=x onerror=alert(1)>"
    names = (f"{hostile}</script><script>alert(1)</script>", "$dollar$")
    prediction = {"prediction": {"stages": [15, 25, 42], "total": 95.0, "source": "probe"}}
    run = make_run(folder / "progressive", classes=names, extra=prediction)
    make_run(folder / hostile / "seed$1$", stages=1, seed=1, data="b" * 32)
    return {"run": write_report(run), "comparison": write_report(folder)}


@pytest.mark.slow
@pytest.mark.parametrize("page", ["run", "comparison"])
@pytest.mark.parametrize(("width", "dark"), [(1100, False), (390, False), (390, True)])
def test_a_page_renders(browser, pages, page, width, dark):
    browser.open(pages[page], width, dark=dark)
    browser.screenshot(ARTEFACTS / f"{page}-{width}{'-dark' * dark}.png")
    images = browser.evaluate("[...document.images].map(i => [i.alt, i.naturalWidth])")
    assert len(images) == {"run": 4 + 3 + 4, "comparison": 2}[page]
    assert all(alt and natural > 0 for alt, natural in images), images
    # Wide things scroll by themselves, the page does not.
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.errors == []
    assert all(url.startswith(("file:", "data:")) for url in browser.requests)
    assert browser.evaluate("document.scripts.length") == 1
    embedded = json.loads(browser.evaluate("document.scripts[0].text"))
    if page == "run":
        assert embedded["data"]["classes"][1] == "$dollar$"
        assert embedded["summary"]["prediction"]["total"] == 95.0
    else:
        assert [run["folder"] for run in embedded["runs"]] == ["seed$1$", "progressive"]
