"""What the documents list is what the code has."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_tables_of_coefficients_are_up_to_date() -> None:
    page = (DOCS / "conventions.md").read_text(encoding="utf-8")
    with_tables = runpy.run_path(str(ROOT / "tools" / "conventions_table.py"))["with_tables"]
    assert with_tables(page) == page, "run: python tools/conventions_table.py docs/conventions.md"


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    names = {re.split(r"[<>=\[]", line)[0] for line in [*project["dependencies"], *extras]} - {"countenance"}
    page = (DOCS / "dependencies.md").read_text(encoding="utf-8")
    assert {name for name in names if f"| `{name}` |" not in page} == set()


def test_every_extra_is_explained_to_those_who_install() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    assert {name for name in extras if f"| `{name}` |" not in page} == set()


def test_links_between_documents_lead_somewhere() -> None:
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


@pytest.mark.parametrize("protocol", ["same-identity", "cross-identity", "multi-view"])
def test_the_fixed_benchmark_is_shown_as_it_is_kept(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    heads_test, page = import_module("heads_test"), import_module("page")
    shown = page.section_of(DOCS / "results.md", f"heads-test {protocol}")
    command = "python benchmarks/heads_test.py --show --markdown docs/results.md"
    assert shown == heads_test.text_of(heads_test.kept(protocol)).strip(), f"run: {command}"


def test_every_command_of_the_readme_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    command_line = import_module("countenance.cli.main")
    monkeypatch.setattr(command_line, "run", lambda *_: 0)
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [
        shlex.split(line, comments=True)[1:] for line in re.findall(r"^\S*countenance .*", page, re.MULTILINE)
    ]
    assert len(commands) >= 10
    for words in commands:
        with pytest.raises(SystemExit) as stop:
            command_line.main(words)
        assert stop.value.code in (0, None), f"countenance {shlex.join(words)}"
