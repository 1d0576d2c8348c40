from __future__ import annotations

from pathlib import Path

import pytest

from countenance.data.sources import find_clips, free_name, source_text, split_of
from countenance.errors import BadValue


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_hidden_files_are_passed_over_unless_they_are_named(tmp_path: Path) -> None:
    names = (".DS_Store", "._clip.mp4", ".trashed-1700-clip.mp4", ".cache/clip.mp4", "clip.mp4", "notes.txt")
    touched(*(tmp_path / name for name in names))
    assert find_clips([tmp_path]) == [tmp_path / "clip.mp4"]
    assert find_clips([tmp_path / "._clip.mp4"]) == [tmp_path / "._clip.mp4"]


def test_the_datasets_own_videos_are_no_clips(tmp_path: Path) -> None:
    touched(tmp_path / "a.mp4", tmp_path / "dataset" / "clips" / "a.mp4")
    assert find_clips([tmp_path], tmp_path / "dataset") == [tmp_path / "a.mp4"]


def test_links_are_followed_once(tmp_path: Path) -> None:
    touched(tmp_path / "far" / "b.mp4", tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "far").symlink_to(tmp_path / "far")
    (tmp_path / "in" / "0.mp4").symlink_to("a.mp4")
    (tmp_path / "in" / "self.mp4").symlink_to("self.mp4")
    assert find_clips([tmp_path / "in"]) == [tmp_path / "in" / "a.mp4", tmp_path / "in" / "far" / "b.mp4"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    touched(tmp_path / "a.mp4")
    with pytest.raises(BadValue, match=r"there is no .*b\.mp4"):
        find_clips([tmp_path / "a.mp4", tmp_path / "b.mp4"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadValue, match="no videos"):
        find_clips([tmp_path / "empty"])


def test_names_fit_every_file_system() -> None:
    assert free_name(Path("x/Anna 1.mp4"), {"anna_1", "anna_1_2"}) == "Anna_1_3"
    assert len(free_name(Path("é" * 127 + ".mp4"), set()).encode()) == 150


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    odd = Path("/clips/caf\udce9_01.mp4")
    assert source_text(odd) == "/clips/caf\\xe9_01.mp4"
    assert free_name(odd, set()) == "caf__01"
    assert split_of(odd, 0.0) == "train"
