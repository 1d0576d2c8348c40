from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from pathlib import Path

import pytest

from countenance.cli.main import main
from countenance.errors import OutputUnwritable, WeightsDamaged, WeightsMissing
from countenance.weights import assets
from countenance.weights.assets import Asset, fetch_asset, find_asset, require_asset
from websites import Answer, Site

BODY = b"weights" * 20_000
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files whose content was looked at."""
    names: list[str] = []
    whole = assets.sha256_of

    def noted(path: Path) -> str:
        names.append(path.name)
        return whole(path)

    monkeypatch.setattr(assets, "sha256_of", noted)
    return names


def asset(*urls: str, sha256: str = SHA256, name: str = "net.pth") -> Asset:
    return Asset(name, sha256, len(BODY), "MIT", "tests", urls, small=True)


def kept(cache: Path, content: bytes = BODY) -> Path:
    cache.mkdir(exist_ok=True)
    (cache / "net.pth").write_bytes(content)
    return cache / "net.pth"


def listed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["assets", *arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), printed.out, printed.err


def test_sources_are_tried_in_turn(site: Site, cache: Path) -> None:
    urls = (
        "http://127.0.0.1:9/nobody",
        site.put("/gone", Answer(status=404)),
        site.put("/login", Answer(b"<html>log in</html>")),
        site.put("/good", Answer(BODY)),
    )
    assert fetch_asset(asset(*urls)).read_bytes() == BODY
    assert [path.name for path in cache.iterdir()] == ["net.pth"], "nothing half done is left"


@pytest.mark.parametrize("sha256", [SHA256, SHA256[:8]])
def test_wrong_bytes_are_never_kept(site: Site, cache: Path, sha256: str) -> None:
    old = kept(cache)
    with pytest.raises(
        WeightsMissing, match=r"get it from http\S+ \(it gave other bytes than expected\) and save"
    ):
        fetch_asset(asset(site.put("/x", Answer(b"other" * 9)), sha256=sha256))
    assert old.read_bytes() == BODY
    assert len([*cache.iterdir()]) == 1


def test_without_a_network_one_line_says_all(cache: Path) -> None:
    with pytest.raises(WeightsMissing) as error:
        require_asset(asset("http://127.0.0.1:9/net.pth"))
    line = str(error.value)
    assert "\n" not in line
    assert "http://127.0.0.1:9/net.pth (no connection)" in line
    assert str(cache / "net.pth") in line


def test_content_is_looked_at_once_for_each_state(cache: Path, hashed: list[str]) -> None:
    path = kept(cache)
    for _ in range(3):
        assert find_asset(asset()) == path
        assets._digest_of.cache_clear()  # as another process has it
    assert hashed == ["net.pth"]
    os.utime(path, (1, 1))
    assert find_asset(asset()) == path
    assert len(hashed) == 2
    path.write_bytes(b"other")
    with pytest.raises(WeightsDamaged, match=r"run: countenance assets fetch net\.pth"):
        find_asset(asset())
    (cache / ".net.pth.checked").write_text('{"state": [1]')
    path.write_bytes(BODY)
    assert find_asset(asset()) == path


def test_a_folder_that_only_can_be_read(
    site: Site, cache: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(cache)

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", closed)
    monkeypatch.setattr("tempfile.mkdtemp", closed)
    monkeypatch.setattr("os.access", lambda *_: False)
    for _ in range(3):
        find_asset(asset())
    assert hashed == ["net.pth"], "this process knows it"
    with pytest.raises(OutputUnwritable, match="set COUNTENANCE_ASSETS"):
        fetch_asset(asset(site.put("/x", Answer(BODY))))


def test_two_may_fetch_the_same_at_once(site: Site, cache: Path) -> None:
    url = site.put("/x", Answer(BODY))
    threads = [threading.Thread(target=fetch_asset, args=(asset(url),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache / "net.pth").read_bytes() == BODY
    assert len([*cache.iterdir()]) == 1


def test_what_a_killed_download_left_is_cleared_after_a_day(site: Site, cache: Path) -> None:
    for name, age_s in (("old", 100_000), ("new", 100)):
        (cache / f".fetch-{name}").mkdir(parents=True)
        then = time.time() - age_s
        os.utime(cache / f".fetch-{name}", (then, then))
    fetch_asset(asset(site.put("/x", Answer(BODY))))
    assert sorted(path.name for path in cache.iterdir()) == [".fetch-new", "net.pth"]


def test_a_damaged_file_is_one_row_of_the_list_and_fetch_heals_it(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = asset(site.put("/x", Answer(BODY))), asset(name="other.pth")
    monkeypatch.setattr(assets, "ASSETS", {"net.pth": good, "other.pth": bad})
    kept(cache, b"cut of")
    (cache / "other.pth").write_bytes(BODY)
    code, printed, _ = listed(capsys)
    assert code == 0
    first, second = printed.splitlines()
    assert first.startswith("net.pth: damaged: ")
    assert second.startswith(f"other.pth: {cache / 'other.pth'}; ")
    code, printed, said = listed(capsys, "fetch", "--json")
    assert code == 0
    assert [row["damaged"] for row in json.loads(printed)["assets"]] == [None, None]
    assert "fetching it again" in said
    assert (cache / "net.pth").read_bytes() == BODY


def test_every_asset_has_two_sources_or_is_large() -> None:
    assert all(len(one.sources) > 1 for one in assets.ASSETS.values() if one.small)
    assert all(one.sources for one in assets.ASSETS.values())
