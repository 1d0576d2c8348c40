"""`make package`: builds the source distribution and the wheel, looks into both, and uses them where nothing else is.

The wheel is built from the source distribution, in isolation. One clean environment outside the repository then gets
the wheel without PyTorch, loses it again, and gets the source distribution with PyTorch. Packages come from where pip
finds them, at the versions of constraints.txt; that file adds none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path, PurePosixPath

from PIL import Image
from skimage import data

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "src/countenance"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
STEM = f"countenance-{VERSION}"
EXTENSION = "countenance/face/_rasterizer.abi3.so"
BESIDE = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg", "setup.py"}

THREE_FRAMES = """
import sys
import countenance as cn
from countenance.face import _rasterizer
from importlib import resources

with resources.as_file(resources.files("countenance.motion") / "data" / "demo.npz") as path:
    driver = cn.load_motion(path)[20:23]
renderer = cn.load_renderer("geometric")
portrait = cn.load_portrait(sys.argv[1], crop_scale=renderer.spec.crop_scale)
frames = [frame.image for frame in cn.animate(portrait, cn.transfer(driver, portrait.motion), renderer)]
assert len(frames) == 3 and (frames[0] != frames[2]).any(), "nothing moved"
"""


class Environment:
    """A virtual environment in a folder of its own; commands run there, and see nothing of the repository."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "env", with_pip=True)
        self.folder = folder
        self.bin = folder / "env" / ("Scripts" if os.name == "nt" else "bin")

    def run(self, program: str, *arguments: object) -> str:
        """What the program printed; ends this check if it fails."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return run(self.bin / program, *arguments, cwd=self.folder, env=variables)

    def install(self, *arguments: object) -> None:
        """Install with pip; modules are compiled when imported, as compiling all of PyTorch takes half a minute."""
        self.run("python", "-m", "pip", "install", "--quiet", "--no-compile", *arguments)


def main() -> None:
    """Build, look, install, use."""
    with tempfile.TemporaryDirectory(prefix="countenance-package-") as scratch:
        folder = Path(scratch)
        run(sys.executable, "-m", "build", "--outdir", folder / "dist", ROOT)
        wheel, source = look_at(folder / "dist")
        photo = folder / "astronaut.png"
        Image.fromarray(data.astronaut()).save(photo)
        use(Environment(folder), wheel, source, photo)
    print(f"{wheel.name} and {source.name}: built, complete, installed and used, with and without PyTorch")


def look_at(dist: Path) -> tuple[Path, Path]:
    """The wheel and the source distribution in a folder, if each holds what it should."""
    run(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir())
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    expect(
        wheel.name.startswith(f"{STEM}-cp311-abi3-"), f"{wheel.name} does not serve all CPythons from 3.11 on"
    )
    run(sys.executable, "-m", "abi3audit", "--strict", wheel)
    tracked = files_of_the_package()
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        shipped = {name for name in tracked if not name.endswith(".c")}
        expect_same(inside, shipped | {EXTENSION}, wheel.name)
        other = [name for name in shipped if archive.read(name) != (ROOT / "src" / name).read_bytes()]
        expect(not other, f"{wheel.name}: not what the repository has: {sorted(other)}")
    with tarfile.open(source) as archive:
        names = {str(PurePosixPath(*PurePosixPath(one.name).parts[1:])) for one in archive if one.isfile()}
    names = {name for name in names if ".egg-info/" not in name}
    expect_same(names, {f"src/{name}" for name in tracked} | BESIDE, source.name)
    return wheel, source


def files_of_the_package() -> set[str]:
    """Files that belong to the package, such as countenance/py.typed: what git has or would take."""
    command = ("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", PACKAGE)
    paths = [line for line in run(*command).splitlines() if (ROOT / line).is_file()]
    return {str(PurePosixPath(path).relative_to("src")) for path in paths}


def use(env: Environment, wheel: Path, source: Path, photo: Path) -> None:
    """Install the wheel and work with it, then the source distribution with the extra ``torch``."""
    constraints = ("--constraint", ROOT / "constraints.txt")
    env.install(*constraints, wheel)
    expect(
        "torch" not in env.run("python", "-m", "pip", "list"), "PyTorch came without having been asked for"
    )
    work(env, photo, "geometric")

    env.run("python", "-m", "pip", "uninstall", "--yes", "countenance")
    left = [path for path in (env.folder / "env").rglob("countenance*") if path.suffix != ".pyc"]
    expect(not left, f"left behind by pip uninstall: {left}")

    env.install("--no-cache-dir", "--no-deps", source)
    env.install(*constraints, "countenance[torch]")  # as someone adds it to what is installed
    work(env, photo, "gdpw-lite")


def work(env: Environment, photo: Path, default: str) -> None:
    """The smoke test: versions and models are told, a photo is animated and edited."""
    env.run("python", "-m", "pip", "check")
    told = env.run("countenance", "--version")
    expect(VERSION in told, f"countenance --version says {told!r}, not {VERSION}")
    expect(
        env.run("python", "-m", "countenance", "--version") == told, "python -m countenance is another one"
    )
    expect(
        f"{default} (default)" in env.run("countenance", "models"), f"{default} is not the default renderer"
    )
    env.run("python", "-c", THREE_FRAMES, photo)
    picture = env.folder / f"{default}.png"
    env.run("countenance", "edit", photo, "-o", picture, "--set", "yaw=10")
    with Image.open(photo) as before, Image.open(picture) as after:
        expect(
            after.size == before.size and after.tobytes() != before.tobytes(),
            "edit --set yaw=10 changed nothing",
        )


def run(*command: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Standard output of a command that has to succeed."""
    words = [str(word) for word in command]
    print("$", *(word if len(word) < 200 else "..." for word in words), flush=True)
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def expect_same(have: set[str], want: set[str], where: str) -> None:
    """End this check unless both are the same."""
    expect(have == want, f"{where}: missing {sorted(want - have)}, not wanted {sorted(have - want)}")


def expect(holds: bool, otherwise: str) -> None:
    """End this check with a message unless something holds."""
    if not holds:
        sys.exit(f"check_package: {otherwise}")


if __name__ == "__main__":
    main()
