"""The report's page and spreadsheet, of made-up results."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from skimage.data import astronaut

from countenance.evaluation.environment import environment
from countenance.evaluation.metrics.catalogue import METRICS
from countenance.evaluation.protocols.protocol import Case, Protocol
from countenance.evaluation.report import page
from countenance.evaluation.report.cases import pictured, worst_first
from countenance.evaluation.report.figures import finite, group_tables, metric_rows
from countenance.evaluation.report.files import write_report
from countenance.evaluation.summary import by_group, counts, estimates
from countenance.evaluation.work import CaseResult
from countenance.media.image_writer import write_image
from countenance.media.video import read_metadata
from countenance.media.writer import VideoWriter
from countenance.renderers.catalogue import renderer_names

SHOWN = ("psnr", "perceptual_lite0", "pose_error_deg")
NASTY = """<script>alert("x")<&'$1$"""
FRAMES, SIDE = 8, 32
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    *("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "disable-dev-shm-usage", "no-first-run"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
)

Values = Mapping[str, list[dict[str, float]]]


def film(path: Path, frames: int = FRAMES, side: int = SIDE) -> None:
    """The astronaut's face, moving to the side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 25.0, side, side) as writer:
        for shift in range(frames):
            face = astronaut()[50:178, 150 + 2 * shift : 278 + 2 * shift]
            writer.write(np.asarray(PIL.Image.fromarray(face).resize((side, side)), np.uint8))


def case(name: str, group: str = "", **changes: Any) -> Case:
    told: dict[str, Any] = {"truth": "clip.mp4", "compared": (1, 3, 5, 7), **changes}
    return Case(name, "clip.mp4", 0, told.pop("driver", "clip.mp4"), 0, FRAMES, group=group, **told)


def result(model: str, name: str, values: dict[str, float], **changes: Any) -> CaseResult:
    told: dict[str, Any] = {"frames": FRAMES, "compared": 4, **changes}
    return CaseResult(name, model, values, peak_mb=500.0, **told)


def report_of(cases: list[Case], results: dict[str, list[CaseResult]]) -> dict[str, Any]:
    """As the evaluation makes it."""
    protocol = Protocol("made-up", "Nothing is done.", 3, tuple(cases), {"clip.mp4": "0" * 64})
    metrics = [metric for metric in METRICS if metric.name in SHOWN]
    groups = {case.name: case.group for case in cases}
    models = {}
    for label, found in results.items():
        grouped = by_group(found, groups, metrics, 3)
        models[label] = {
            "summary": {name: asdict(estimate) for name, estimate in estimates(found, metrics, 3).items()},
            "groups": {g: {n: asdict(e) for n, e in told.items()} for g, told in grouped.items()},
            "counts": counts(found),
            "speed": {"peak_mb": 500.0, "frames_per_s": 12.5},
            "cases": [asdict(each) for each in found],
        }
    return {
        "protocol": {**asdict(protocol), "digest": protocol.digest},
        "metrics": {
            m.name: {k: getattr(m, k) for k in ("title", "unit", "best", "needs", "definition")}
            for m in metrics
        },
        "left_out": {"av_confidence": "'syncnet' is not on this machine;\nget it"},
        "models": models,
        "environment": environment(),
    }


def simple(values: Values, cases: list[Case] | None = None) -> dict[str, Any]:
    count = len(next(iter(values.values())))
    cases = cases or [case(f"c{number}") for number in range(count)]
    results = {
        label: [result(label, each.name, value) for each, value in zip(cases, told, strict=True)]
        for label, told in values.items()
    }
    return report_of(cases, results)


def valued(*perceptual: float) -> list[dict[str, float]]:
    return [{"psnr": 30 - v, "perceptual_lite0": v, "pose_error_deg": 2 * v} for v in perceptual]


def made(report: dict[str, Any], folder: Path, *, videos: bool = True) -> str:
    """The page of a report, with the folders around it."""
    output, data = folder / "out", folder / "data"
    output.mkdir(exist_ok=True)
    if videos:
        film(data / "clip.mp4")
        for label, found in report["models"].items():
            for told in found["cases"]:
                if label != "repeated" and not told["failed"]:
                    film(output / "videos" / label / f"{told['case']}.mp4")
    path = write_report(output, report, data)
    assert path == output / "report.html"
    return path.read_text(encoding="utf-8")


def text_of(html: str) -> str:
    body = re.sub(r"<(style|script).*?</\1>", "", html, flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def uris(html: str, kind: str) -> list[bytes]:
    found = re.findall(rf'src="data:{kind};base64,([^"]+)"', html)
    return [base64.b64decode(content) for content in found]


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    html = made(simple({"ours": valued(1, 2), "repeated": valued(3, 4)}), tmp_path)
    targets = re.findall(r'[\s:](?:src|href|srcset|poster|data|action)=["\']?([^"\'\s>]*)', html)
    assert [t for t in targets if not t.startswith(("#", "data:image/jpeg;", "data:video/mp4;"))] == []
    assert [t for t in re.findall(r"url\(([^)]*)\)", html) if not t.startswith("#")] == []
    assert not re.search(r"@import|<link|<iframe|<object|<embed|fetch\(|XMLHttpRequest|import\(", html)
    assert "default-src 'none'" in html.replace("&#39;", "'")


def test_the_same_results_give_the_same_page(tmp_path: Path) -> None:
    report = simple({"ours": valued(1, 2), "theirs": valued(2, 1)})
    assert made(report, tmp_path) == made(json.loads(json.dumps(report)), tmp_path, videos=False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no files of such names")
def test_names_are_escaped(tmp_path: Path) -> None:
    report = simple(
        {NASTY.replace("/", ""): valued(1, 2), "b": valued(2, 1)}, [case(NASTY, NASTY), case("b")]
    )
    report["models"]["b"]["cases"][0]["failed"] = f"no {NASTY}"
    report["environment"]["processor"] = NASTY
    html = made(report, tmp_path)
    assert "<script>alert" not in html
    assert html.count("<script") == html.count("</script>") == 2
    assert "&lt;script&gt;alert" in html


def test_the_best_is_bold_and_the_second_underlined(tmp_path: Path) -> None:
    report = simple({"a": valued(2, 3), "b": valued(1, 2), "c": valued(5, 6), "repeated": valued(0, 0)})
    row = re.search(r'<tr><th scope="row"><span title="Mean absolute.*?</tr>', made(report, tmp_path), re.S)
    assert row is not None
    cells = re.findall(r"<td>(.*?)</td>", row[0], re.S)
    assert [re.match(r"<[bu]|", cell)[0] for cell in cells] == ["<u", "<b", "", ""]  # type: ignore[index]
    ranked = {row.name: [cell.rank for cell in row.cells] for row in metric_rows(finite(report))}
    assert ranked["psnr"] == [2, 1, None, None]


def test_models_that_are_shown_alike_share_a_rank() -> None:
    rows = metric_rows(simple({"a": [{"psnr": 1.00012}], "b": [{"psnr": 1.00034}]}))
    assert [(cell.text, cell.rank) for cell in rows[0].cells] == [("1.000", 1), ("1.000", 1)]


def test_failed_cases_come_first_with_their_error(tmp_path: Path) -> None:
    cases = [case("good"), case("bad"), case("broken"), case("faceless")]
    values = valued(1, 9, 0, 2)
    told = [result("ours", each.name, value) for each, value in zip(cases, values, strict=True)]
    told[2] = CaseResult("broken", "ours", failed="the face fell off")
    told[3] = result("ours", "faceless", values[3], lost=4, missing=2)
    report = report_of(cases, {"ours": told})
    html = made(report, tmp_path)
    table = html[html.index('id="table"') :]
    places = [table.index(name) for name in ("broken", "faceless", "bad", "good")]
    assert places == sorted(places)
    text = text_of(html)
    assert "Failed: 1 Case Model Error broken ours the face fell off" in text
    assert "failed cases 1 of 4" in text
    assert "2 of 8 frames missing" in text
    assert "no face in 4 of 4" in text


def test_worst_is_low_where_high_is_better() -> None:
    report = simple({"ours": [{"psnr": 30.0}, {}, {"psnr": 10.0}, {"psnr": 20.0}]})
    assert worst_first(report, "ours", "psnr") == [2, 3, 0, 1]


def test_pictures_are_of_each_models_worst() -> None:
    rising, falling = valued(*range(40)), valued(*range(40, 0, -1))
    report = simple({"a": rising, "b": falling, "repeated": valued(*[20] * 40)})
    assert pictured(report, "perceptual_lite0")[:6] == [39, 0, 38, 1, 37, 2]
    assert len(pictured(report, "perceptual_lite0")) == 24


def test_the_page_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = simple({"ours": valued(*range(30))})
    html = made(report, tmp_path)
    assert html.count('<article class="case"') == 24
    assert len(uris(html, "video/mp4")) == 6
    assert html.count("<tr data-case=") == 30
    assert "Pictures: 24 of 30 cases, each model's worst in turn" in text_of(html)
    bare = len(re.sub(r'"data:[^"]*"', '""', html))
    monkeypatch.setattr(page, "MOST_BYTES", bare + 100_000)
    small = made(report, tmp_path, videos=False)
    assert 0 < small.count('<article class="case"') < 24
    assert len(small) <= bare + 100_000


def test_missing_videos_and_clips_are_said(tmp_path: Path) -> None:
    report = simple({"ours": valued(1, 2), "repeated": valued(3, 4)})
    html = made(report, tmp_path, videos=False)
    assert "its pictures were not kept" in html
    assert uris(html, "image/jpeg") == []
    film(tmp_path / "data" / "clip.mp4")
    html = made(report, tmp_path, videos=False)  # the truth is there, and with it the source repeated
    assert len(uris(html, "image/jpeg")) == 2 * 3
    assert uris(html, "video/mp4") == []
    (tmp_path / "out" / "videos" / "ours").mkdir(parents=True)
    (tmp_path / "out" / "videos" / "ours" / "c0.mp4").write_bytes(b"no video")
    assert "no pictures: cannot read" in made(report, tmp_path, videos=False)


def test_frames_that_did_not_come_are_crossed_out(tmp_path: Path) -> None:
    report = simple({"ours": valued(1)})
    made(report, tmp_path)
    film(tmp_path / "out" / "videos" / "ours" / "c0.mp4", frames=4)
    assert "2 of 4 missing" in text_of(made(report, tmp_path, videos=False))


def test_a_folder_of_results_is_shown(tmp_path: Path) -> None:
    report = simple({"theirs": valued(1)})
    for number in range(FRAMES):
        (tmp_path / "made" / "c0").mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "made" / "c0" / f"{number:05d}.png", np.full((SIDE, SIDE, 3), 9, np.uint8))
    kept = tmp_path / "out" / "results" / "theirs" / ".model"
    kept.parent.mkdir(parents=True)
    kept.write_text(str(tmp_path / "made"))
    film(tmp_path / "data" / "clip.mp4")
    html = made(report, tmp_path, videos=False)
    assert len(uris(html, "image/jpeg")) == 3
    assert "--model theirs=FOLDER -o again" in html
    assert str(tmp_path) not in html


def test_results_carry_the_mark(tmp_path: Path) -> None:
    html = made(simple({"ours": valued(1)}), tmp_path)
    (loop,) = uris(html, "video/mp4")
    (tmp_path / "loop.mp4").write_bytes(loop)
    told = read_metadata(tmp_path / "loop.mp4")
    assert told["synthetic"] == "true"
    assert told["model"] == "ours"
    pictures = [PIL.Image.open(io.BytesIO(content)) for content in uris(html, "image/jpeg")]
    assert ["synthetic: true" in str(p.getexif().get(0x010E)) for p in pictures] == [False, False, True]
    assert {p.height for p in pictures} == {128}


def test_stills_have_no_loop(tmp_path: Path) -> None:
    still = case("c0", stills=True, truth=None, driver="motions/c0.npz")
    html = made(simple({"ours": valued(1)}, [still]), tmp_path)
    assert uris(html, "video/mp4") == []
    assert "recording" not in text_of(html[html.index("<article") : html.index("</article>")])


def test_what_is_no_number_or_absent_is_a_dash(tmp_path: Path) -> None:
    report = simple({"a": [{"psnr": 20.0}], "b": [{"psnr": 21.0, "pose_error_deg": 1.0}]})
    report["models"]["a"]["summary"]["pose_error_deg"] = dict.fromkeys(
        ("mean", "low", "high"), float("nan")
    ) | {"cases": 1}
    report["models"]["a"]["cases"][0]["values"]["pose_error_deg"] = float("nan")
    html = made(report, tmp_path)
    told = re.search(r'id="told">(.*?)</script>', html)
    assert told is not None
    assert json.loads(told[1])["values"] == [[[20.0, None], [21.0, 1.0]]]
    rows = {row.name: [cell.text for cell in row.cells] for row in metric_rows(finite(report))}
    assert rows == {"psnr": ["20.00", "21.00"], "pose_error_deg": ["–", "1.000"]}
    text = text_of(html)
    assert "perceptual (EfficientNet-Lite0) : it needs true pictures" in text
    assert "AVConf (SyncNet) : 'syncnet' is not on this machine; get it" in text.replace("&#39;", "'")


def test_means_over_fewer_cases_say_so() -> None:
    rows = metric_rows(simple({"a": [{"psnr": 20.0}, {}], "b": [{"psnr": 21.0}, {"psnr": 22.0}]}))
    assert [cell.note for cell in rows[0].cells] == ["of 1 cases only", ""]


def test_groups_are_shown_where_they_are_few_and_large(tmp_path: Path) -> None:
    def grouped(*groups: str) -> dict[str, Any]:
        cases = [case(f"c{i}", group) for i, group in enumerate(groups)]
        return simple({"a": valued(*range(len(cases))), "b": valued(*[9] * len(cases))}, cases)

    tables = group_tables(grouped("left", "left", "right"))
    assert [table.metric for table in tables] == list(SHOWN)
    assert [row.title for row in tables[1].rows] == ["left (2 cases)", "right (1 case)"]
    assert [cell.rank for cell in tables[1].rows[0].cells] == [1, 2]
    assert group_tables(grouped("left", "right")) == []
    assert group_tables(grouped("", "", "")) == []
    assert group_tables(grouped(*"aabcdefghijklmno")) == []
    assert "By group" in made(grouped("left", "left", "right"), tmp_path)


def test_everything_failed(tmp_path: Path) -> None:
    report = report_of([case("c0")], {"ours": [CaseResult("c0", "ours", failed="no way")]})
    assert "c0 ours no way" in text_of(made(report, tmp_path))


def test_the_spreadsheet(tmp_path: Path) -> None:
    report = simple({"a": valued(1, 2), "b": [{"psnr": 21.0}, {}]})
    made(report, tmp_path, videos=False)
    rows = list(csv.DictReader((tmp_path / "out" / "report.csv").open(encoding="utf-8")))
    assert [(row["model"], row["case"]) for row in rows] == [
        ("a", "c0"),
        ("a", "c1"),
        ("b", "c0"),
        ("b", "c1"),
    ]
    assert [row["psnr"] for row in rows] == ["29", "28", "21.0", ""]


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_its_packages_there_is_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.warns(UserWarning, match=f"the page was left out: .*{package}") as told:
        path = write_report(tmp_path, simple({"ours": valued(1)}), tmp_path)
    assert path == tmp_path / "report.csv"
    assert path.is_file()
    assert not (tmp_path / "report.html").exists()
    assert "\n" not in str(told[0].message)


def test_the_command_repeats_it(tmp_path: Path) -> None:
    name = next(iter(renderer_names()))
    html = made(simple({name: valued(1), "mine": valued(2)}), tmp_path, videos=False)
    assert f"--protocol protocol.json --model {name} --model mine=FILE.safetensors -o again" in html


@pytest.fixture
def browser() -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    pytest.importorskip("selenium", reason="selenium is not here: pip install selenium")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for option in (*OPTIONS, f"user-data-dir={profile}"):
            options.add_argument(f"--{option}")
        chrome = Chrome(options, Service(DRIVER))
        try:
            yield chrome
        finally:
            chrome.quit()


def test_a_browser_sorts_as_python_does(tmp_path: Path, browser: Any) -> None:
    from selenium.webdriver.support.ui import Select

    values = {
        "a": [{"psnr": 20.0, "pose_error_deg": 3.0}, {"psnr": 9.99}, {"psnr": 30.0, "pose_error_deg": 5.0}],
        "b": [{"psnr": 31.0}, {"psnr": 120.0}, {"psnr": 11.0}],
    }
    report = simple(values)
    report["models"]["b"]["cases"][1] = asdict(CaseResult("c1", "b", failed="no"))
    made(report, tmp_path)
    browser.get((tmp_path / "out" / "report.html").as_uri())

    def shown(selector: str) -> list[str]:
        return [e.get_attribute("data-case") for e in browser.find_elements("css selector", selector)]

    for name, place, label in (("pose_error_deg", 0, "a"), ("psnr", 1, "b"), ("psnr", 0, "a")):
        Select(browser.find_element("id", "metric")).select_by_value(name)
        Select(browser.find_element("id", "model")).select_by_index(place)
        expected = [str(index) for index in worst_first(report, label, name)]
        assert shown("#table tbody tr") == expected
        assert set(shown("#cards article")) <= set(expected)
    cells = [e.text for e in browser.find_elements("css selector", "#table .value")]
    assert cells == ["9.990", "failed", "20.00", "31.00", "30.00", "11.00"]
    browser.find_element("id", "moving").click()
    assert all(browser.execute_script("return [...document.querySelectorAll('video')].map((v) => v.paused)"))
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map((r) => r.name)")
    assert [name for name in fetched if not name.startswith(("blob:", "data:"))] == []
    assert browser.get_log("browser") == []
