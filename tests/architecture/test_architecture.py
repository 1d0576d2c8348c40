"""The shape of the code: which stage may import which, how large a file may grow, what must be documented."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "countenance"
SOURCES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    {"errors", "arrays", "timing", "prefetch"},
    {"ranges"},
    {"devices", "progress", "plugins", "digests", "locking", "processes", "threads"},
    {"atomic", "stored"},
    {"motion"},
    {"media"},
    {"weights"},
    {"audio"},
    {"face"},
    {"portrait"},
    {"trackers"},
    {"losses", "data"},
    {"training"},
    {"generators"},
    {"renderers", "speech"},
    {"compose", "provenance"},
    {"animation"},
    {"editing"},
    {"pipeline"},
    {"evaluation"},
    {"cli"},
    {"__main__"},
)
"""A stage imports itself and the layers before its own. The package's own ``__init__`` stands above all."""

RANK = {stage: rank for rank, layer in enumerate(LAYERS) for stage in layer}
SHAPELESS_NAMES = {"utils", "util", "helpers", "helper", "misc", "common"}
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 60  # from `def` to the end, the docstring left out

Function = ast.FunctionDef | ast.AsyncFunctionDef


def stage_of(path: Path) -> str | None:
    """The stage a source file belongs to; None for the package's own ``__init__``."""
    first = path.relative_to(PACKAGE).parts[0]
    return None if first == "__init__.py" else first.removesuffix(".py")


def imported_modules(tree: ast.AST, package: str = "countenance") -> Iterator[str]:
    """Full names of all modules (and names in them) that the file imports, at its top or inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")
            start = base[: len(base) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def backward_imports(tree: ast.AST, stage: str, package: str = "countenance") -> list[str]:
    """Imports of a stage that is not before ``stage``."""
    wrong = []
    for name in imported_modules(tree, package):
        parts = name.split(".")
        if parts[0] != "countenance" or len(parts) < 2 or parts[1] == stage:
            continue
        other = parts[1]
        if other not in RANK:
            wrong.append(f"{name}: '{other}' is no stage")
        elif RANK[other] >= RANK[stage]:
            wrong.append(f"{name}: {stage} may not import {other}")
    return wrong


def long_functions(tree: ast.AST) -> list[str]:
    """Functions over the limit, with their length."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, Function):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                text = node.body[0]
                length -= (text.end_lineno or text.lineno) - text.lineno + 1
            if length > MOST_FUNCTION_LINES:
                found.append(f"{node.name} has {length} lines")
    return found


def forbidden_statements(tree: ast.AST) -> list[str]:
    """Bare ``except`` and ``assert``."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"line {node.lineno}: bare except")
        if isinstance(node, ast.Assert):
            found.append(f"line {node.lineno}: assert")
    return found


def undocumented(tree: ast.Module | ast.ClassDef, prefix: str = "") -> list[str]:
    """Public classes, functions and methods without a docstring."""
    found = []
    for node in tree.body:
        if not isinstance(node, (*Function.__args__, ast.ClassDef)) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(d).split(".")[-1] for d in node.decorator_list}
        if decorators & {"overload", "setter"}:
            continue
        if ast.get_docstring(node) is None:
            found.append(f"{prefix}{node.name} (line {node.lineno})")
        if isinstance(node, ast.ClassDef):
            found += undocumented(node, f"{node.name}.")
    return found


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def package_of(path: Path) -> str:
    """The dotted package that relative imports of a file start from."""
    return ".".join(path.relative_to(PACKAGE.parent).parts[:-1])


def in_package(path: Path) -> str:
    """Short name of a source file, for test names."""
    return path.relative_to(PACKAGE).as_posix()


def test_every_file_belongs_to_a_stage() -> None:
    stages = {stage for path in SOURCES if (stage := stage_of(path))}
    assert stages <= set(RANK), f"give {stages - set(RANK)} a place in LAYERS and in docs/architecture.md"


@pytest.mark.parametrize("path", SOURCES, ids=in_package)
def test_imports_point_one_way(path: Path) -> None:
    stage = stage_of(path)
    if stage is not None:
        assert backward_imports(parsed(path), stage, package_of(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=in_package)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_FILE_LINES
    assert long_functions(parsed(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=in_package)
def test_no_bare_except_and_no_assert(path: Path) -> None:
    assert forbidden_statements(parsed(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=in_package)
def test_public_names_are_documented(path: Path) -> None:
    tree = parsed(path)
    if tree.body:
        assert ast.get_docstring(tree) is not None, "the module has no docstring"
    assert undocumented(tree) == []


def test_files_have_telling_names() -> None:
    folders = [ROOT / name for name in ("src", "tests", "tools", "benchmarks")]
    names = [p for folder in folders for p in folder.rglob("*") if p.suffix in {".py", ""}]
    assert [str(p.relative_to(ROOT)) for p in names if p.stem in SHAPELESS_NAMES] == []


def test_motion_needs_numpy_and_scipy_only() -> None:
    third_party = {
        name.split(".")[0]
        for path in (PACKAGE / "motion").rglob("*.py")
        for name in imported_modules(parsed(path), package_of(path))
    } - set(sys.stdlib_module_names)
    assert third_party <= {"countenance", "numpy", "scipy"}


def test_package_inits_import_nothing_heavy() -> None:
    heavy = {"av", "cv2", "dlib", "mediapipe", "PIL", "scipy", "skimage", "torch"}
    wrong = {
        in_package(path): names
        for path in PACKAGE.rglob("__init__.py")
        if (names := {n.split(".")[0] for n in imported_modules(parsed(path), package_of(path))} & heavy)
    }
    assert wrong == {}


def test_no_tracked_file_names_this_checkout() -> None:
    here = str(ROOT)
    if len(ROOT.parts) < 3:
        pytest.skip(f"{here} is too short a path to search for")
    try:
        listed = subprocess.run(["git", "-C", here, "ls-files", "-z"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert [str(f.relative_to(ROOT)) for f in files if f.is_file() and here.encode() in f.read_bytes()] == []


@pytest.mark.parametrize(
    "code",
    [
        "from countenance.cli.main import main",
        "def f():\n    from countenance.trackers.tracker import Face",
        "import countenance.renderers.catalogue",
        "from countenance import pipeline",
        "from ..compose import paste",
        "from countenance.nowhere import x",
    ],
)
def test_a_backward_import_is_noticed(code: str) -> None:
    assert len(backward_imports(ast.parse(code), "face", "countenance.face")) == 1


def test_a_forward_import_is_allowed() -> None:
    code = "import numpy\nfrom countenance.errors import X\nfrom .bfm import Y\nfrom ..weights import z"
    assert backward_imports(ast.parse(code), "face", "countenance.face") == []


def test_neighbours_in_a_layer_do_not_import_each_other() -> None:
    assert backward_imports(ast.parse("from countenance.provenance.marks import marks"), "compose")


def test_the_other_rules_notice_what_they_forbid() -> None:
    assert long_functions(ast.parse("def f():\n" + "    x = 1\n" * MOST_FUNCTION_LINES))
    assert not long_functions(ast.parse("def f():\n" + "    x = 1\n" * (MOST_FUNCTION_LINES - 1)))
    assert forbidden_statements(ast.parse("assert x\ntry:\n    y\nexcept:\n    z"))[1:]
    assert undocumented(ast.parse("class A:\n    'd'\n    def b(self): ...\ndef _c(): ..."), "") == [
        "A.b (line 3)"
    ]
