"""Renderers, trackers and voices of other packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import countenance as cn
from countenance.cli.main import main
from countenance.errors import PluginBroken, UnknownName
from countenance.plugins import plugins
from countenance.renderers.catalogue import broken_renderers, renderer_names, renderer_spec
from countenance.speech.catalogue import load_speech_driver, speech_names
from countenance.trackers.catalogue import load_tracker

ENTRY_POINTS = """
[countenance.renderers]
theirs = their_models.mirror
geometric = their_models.mirror
crashing = their_models.crashing
nameless = their_models.nameless

[countenance.trackers]
their-tracker = their_models.tracking:make

[countenance.voices]
their-voice = their_models.voice
"""

FILES = {
    "their_models/__init__.py": "",
    "their_models/mirror/__init__.py": """
from countenance.renderers.spec import RendererSpec
SPECS = (RendererSpec("theirs", "flips the photo", "arkit", "MIT"),)
""",
    "their_models/mirror/renderer.py": """
from countenance.renderers.geometric.renderer import GeometricRenderer
from countenance.renderers.mirror_of import nothing  # raises where load is asked for
""",
    "their_models/crashing.py": "raise RuntimeError('no licence\\nfound')",
    "their_models/nameless.py": "SPECS = ()",
    "their_models/tracking.py": "def make(device):\n    return ('tracker', device)\n",
    "their_models/voice/__init__.py": """
from countenance.speech.driver import SpeechSpec
SPECS = (SpeechSpec("their-voice", "says it their way", "arkit", "MIT", ""),)
""",
    "their_models/voice/driver.py": "def load(name, device):\n    return name, device\n",
    "their_models-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: their-models\nVersion: 1.0\n",
    "their_models-1.0.dist-info/entry_points.txt": ENTRY_POINTS,
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    plugins.cache_clear()
    yield tmp_path
    plugins.cache_clear()
    for name in [n for n in sys.modules if n.startswith("their_models")]:
        del sys.modules[name]


def test_other_packages_models_are_used_by_name(package: Path) -> None:
    (package / "their_models/mirror/renderer.py").write_text(
        "def load(name, device):\n    return name, device\n"
    )
    assert renderer_names()[-3:] == ("crashing", "nameless", "theirs")
    assert renderer_spec("theirs").summary == "flips the photo"
    assert cn.load_renderer("theirs", device="cpu") == ("theirs", "cpu")
    assert load_tracker("their-tracker", device="cpu") == ("tracker", "cpu")
    assert "their-voice" in speech_names()
    assert load_speech_driver("their-voice", device="cpu") == ("their-voice", "cpu")


def test_a_broken_one_names_its_package_and_harms_no_other(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {p.name for p in broken_renderers()} == {"geometric", "crashing", "nameless"}
    assert cn.load_renderer("geometric").spec.name == "geometric"
    for name, reason in (("crashing", "no licence found"), ("nameless", "SPECS"), ("theirs", "mirror_of")):
        with pytest.raises(PluginBroken, match=f"their-models.*{reason}") as refused:
            cn.load_renderer(name)
        assert "\n" not in str(refused.value)
    with pytest.raises(SystemExit):
        main(["models", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert {b["package"] for b in listed["broken"]} == {"their-models"}
    assert [m["name"] for m in listed["models"]].count("geometric") == 1
    assert "theirs" in [m["name"] for m in listed["models"]]


def test_without_other_packages_there_are_ours() -> None:
    assert renderer_names()[0] == "geometric"
    assert broken_renderers() == []
    with pytest.raises(UnknownName, match="geometric"):
        cn.load_renderer("geometrik")
