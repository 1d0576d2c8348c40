"""The user study's page in a real browser, from its file to the scores of what was clicked."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from countenance.cli.main import main
from countenance.evaluation.study.key import REAL, Key, read_key
from studies import CASES, TINTS, results

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--window-size=1000,900",
)
COLOURS = """
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const ink = canvas.getContext("2d", { willReadFrequently: true });
    return [...document.querySelectorAll("video")].map((video) => {
      ink.drawImage(video, 0, 0, 1, 1);
      return [...ink.getImageData(0, 0, 1, 1).data].slice(0, 3);
    });
"""
PLAYS = """
    const videos = [...document.querySelectorAll("video")];
    return videos.length > 0 && videos.every((video) => video.videoWidth > 0 && video.currentTime > 0.05);
"""


class Page:
    """A browser with the page, and what a participant does there."""

    def __init__(self, browser: Any, path: Path) -> None:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import WebDriverWait

        self.browser, self._by, self.keys = browser, By, Keys
        self._wait = WebDriverWait(browser, 60, poll_frequency=0.05)
        browser.get(path.as_uri())

    def until(self, holds: Callable[[], object]) -> None:
        self._wait.until(lambda _: holds())

    def element(self, name: str) -> Any:
        return self.browser.find_element(self._by.ID, name)

    def click(self, name: str) -> None:
        self.element(name).click()

    def press(self, key: str) -> None:
        self.browser.switch_to.active_element.send_keys(key)

    def text(self, name: str) -> str:
        return str(self.element(name).text)

    def option(self, question: str, value: str) -> Any:
        return self.browser.find_element(self._by.CSS_SELECTOR, f"input[name={question}][value='{value}']")

    def choose(self, question: str, value: str) -> None:
        """By mouse."""
        self.option(question, value).click()

    def chosen(self, question: str) -> str | None:
        found = self.browser.find_elements(self._by.CSS_SELECTOR, f"input[name={question}]:checked")
        return str(found[0].get_attribute("value")) if found else None

    def systems(self) -> list[str]:
        """Whose videos are on the screen, by their colours."""
        self.until(lambda: self.browser.execute_script(PLAYS))
        names = []
        for colour in self.browser.execute_script(COLOURS):
            name = next(n for n, tint in TINTS.items() if tint.index(1.0) == colour.index(max(colour)))
            names.append(REAL if name == "trueclips" else name)
        return names

    def download(self, folder: Path) -> Path:
        self.click("download")
        self.until(lambda: [*folder.glob("answers-*.csv")])
        return next(folder.glob("answers-*.csv"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Result folders."""
    folder = tmp_path_factory.mktemp("results")
    return {path.name: path for path in results(folder, TINTS, CASES[:3], frames=100, sound=True)}


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Callable[[Path], Page]]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    pytest.importorskip("selenium", reason="selenium is not here: pip install selenium")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for option in (*OPTIONS, f"--user-data-dir={profile}"):
            options.add_argument(option)
        browser = Chrome(options, Service(DRIVER))
        try:
            yield lambda path: Page(browser, path)
            complaints = [entry["message"] for entry in browser.get_log("browser")]
            fetched = browser.execute_script(
                "return performance.getEntriesByType('resource').map((r) => r.name)"
            )
        finally:
            browser.quit()
    assert complaints == []
    assert [name for name in fetched if not name.startswith("blob:")] == []


def make(capsys: pytest.CaptureFixture[str], page: Path, *arguments: object) -> Key:
    with pytest.raises(SystemExit) as stop:
        main(["study", "make", *map(str, arguments), "-o", str(page), "--json"])
    assert stop.value.code == 0, capsys.readouterr().err
    return read_key(Path(json.loads(capsys.readouterr().out)["key"]))


def score(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    with pytest.raises(SystemExit) as stop:
        main(["study", "score", *map(str, arguments), "--json"])
    assert stop.value.code == 0, capsys.readouterr().err
    return dict(json.loads(capsys.readouterr().out))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_pairs_from_consent_to_scores(
    made: dict[str, Path],
    tmp_path: Path,
    open_page: Callable[[Path], Page],
    capsys: pytest.CaptureFixture[str],
) -> None:
    systems = (made["sharpnet"], made["waxworks"], "--real", made["trueclips"])
    key = make(capsys, tmp_path / "study.html", *systems, "--contact", "Ada")
    page = open_page(tmp_path / "study.html")
    seen = page.browser.page_source.casefold() + page.browser.current_url.casefold()
    assert [name for name in (*TINTS, *CASES) if name in seen] == []
    assert "Some videos are real recordings" in page.text("welcome")
    assert "Ada" in page.text("welcome")

    page.click("begin")
    assert "agree" in page.text("message")
    assert not page.element("item").is_displayed()
    page.click("agree")
    page.click("begin")

    choices: list[tuple[list[str], str]] = []
    for number in range(1, 7):
        assert page.text("where") == f"{number} of 6"
        page.until(lambda: page.browser.execute_script(PLAYS))
        shown, side = page.systems(), ("left", "right", "right")[number % 3]
        assert page.chosen("q1") is None
        if number % 2:
            page.click("next")
            assert "choose first" in page.text("message")
            page.choose("q1", side)
            choices.append((shown, side))
            page.click("next")
        else:
            page.press({"left": page.keys.ARROW_LEFT, "right": page.keys.ARROW_RIGHT}[side])
            assert page.chosen("q1") == side
            choices.append((shown, side))
            if number == 4:  # a reload in the middle loses nothing, and changes no order
                page.browser.refresh()
                assert page.text("where") == "4 of 6"
                assert "answers are kept" in page.text("message")
                assert page.chosen("q1") == side
                assert page.systems() == shown
                page.press(page.keys.BACKSPACE)
                assert (page.text("where"), page.chosen("q1")) == ("3 of 6", choices[2][1])
                page.choose("q1", "right" if choices[2][1] == "left" else "left")  # a change of mind
                choices[2] = choices[2][0], str(page.chosen("q1"))
                page.click("next")
            page.press(page.keys.ENTER)
    assert page.text("end-heading") == "Thank you"
    assert all(REAL in shown for shown, _ in choices)

    answers = page.download(tmp_path)
    found = rows(answers)
    assert page.text("number") == found[0]["participant"]
    assert page.element("sheet").get_attribute("value") == answers.read_text()
    ids = {name: clip.system for name, clip in key.clips.items()}
    assert [([ids[r["left"]], ids[r["right"]]], r["answer"]) for r in found] == choices
    assert {r["item"] for r in found} == set(key.items)
    assert all(0 < int(r["ms"]) < 600_000 for r in found)
    scored = score(capsys, tmp_path / "study.key.json", answers)
    for name in ("sharpnet", "waxworks"):
        won = [shown[side == "right"] == name for shown, side in choices if name in shown]
        (rate,) = (s for s in scored["scores"] if s["system"] == name)
        assert (rate["measure"], rate["answers"]) == ("fooling rate", 3)
        assert rate["value"] == pytest.approx(sum(won) / 3)

    page.click("delete")
    page.browser.switch_to.alert.accept()
    assert page.element("welcome").is_displayed()
    page.browser.refresh()
    assert page.element("welcome").is_displayed()
    page.click("agree")
    page.click("begin")
    page.click("stop")
    assert page.text("number") != found[0]["participant"]


def test_ratings_by_keys_and_mouse(
    made: dict[str, Path],
    tmp_path: Path,
    open_page: Callable[[Path], Page],
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = make(
        capsys, tmp_path / "study.html", made["sharpnet"], made["waxworks"], "--kind", "ratings", "--items", 4
    )
    assert len(key.questions) == 3
    page = open_page(tmp_path / "study.html")
    page.click("agree")
    page.click("begin")
    given: dict[str, list[list[int]]] = {"sharpnet": [], "waxworks": []}
    for number in range(4):
        (system,) = page.systems()
        ratings = [(number + k) % 5 + 1 for k in range(3)]
        if number % 2:
            for k, rating in enumerate(ratings, 1):
                page.choose(f"q{k}", str(rating))
            page.click("next")
        else:
            page.press(str(ratings[0]))
            page.press(page.keys.ENTER)
            assert "every question" in page.text("message")
            page.press(str(ratings[1]))
            page.press(str(ratings[2]))
            assert [page.chosen(f"q{k}") for k in (1, 2, 3)] == [str(r) for r in ratings]
            page.press(page.keys.ENTER)
        given[system].append(ratings)
    assert page.text("end-heading") == "Thank you"
    scored = score(capsys, tmp_path / "study.key.json", page.download(tmp_path))
    means = {(s["system"], s["question"]): s["value"] for s in scored["scores"]}
    assert means == pytest.approx(
        {
            (system, f"q{k + 1}"): sum(ratings[k] for ratings in all_ratings) / 2
            for system, all_ratings in given.items()
            for k in range(3)
        }
    )


def test_stopping_early_hands_over_what_there_is(
    made: dict[str, Path],
    tmp_path: Path,
    open_page: Callable[[Path], Page],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Pairs with sound, too: one plays after the other, and Space stops them."""
    make(capsys, tmp_path / "study.html", made["sharpnet"], made["waxworks"], "--sound", "keep")
    page = open_page(tmp_path / "study.html")
    page.click("agree")
    page.click("begin")
    playing = "return [...document.querySelectorAll('video')].map((v) => !v.paused)"
    page.until(lambda: page.browser.execute_script(playing) == [True, False])
    page.until(lambda: page.browser.execute_script(playing) == [False, True])
    page.press(" ")
    page.until(lambda: page.browser.execute_script(playing) == [False, False])
    page.press(" ")
    page.until(lambda: page.browser.execute_script(playing) == [False, True])
    page.press(page.keys.ARROW_RIGHT)
    page.click("stop")
    assert "You answered 1 of 3" in page.text("count")
    page.click("resume")
    assert page.chosen("q1") == "right"
    page.click("stop")
    answers = page.download(tmp_path)
    assert [r["answer"] for r in rows(answers)] == ["right"]
    assert score(capsys, tmp_path / "study.key.json", answers)["answers"] == 1
