"""What pyproject.toml can't say: the C extension, and the description that a package index shows.

The extension uses CPython's stable interface, so one wheel a platform serves all CPythons from 3.11 on.

The description is README.md, with links that also work on an index. Links between files of the repository lead nowhere
there. They are made absolute with `[project.urls] Source` of pyproject.toml, at the release's tag; while the project
has no public address, they become plain text, and pictures are left out.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
RASTERIZER = Extension(
    "countenance.face._rasterizer",
    sources=["src/countenance/face/_rasterizer.c"],  # asks for the interface of 3.11, too
    extra_compile_args=["-O3", "-ffp-contract=off", "-g0"],  # no paths of this machine in the binary
    py_limited_api=True,
)
# [text](target) and ![text](target), whose target is neither an address nor a place in the same page
_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!\w+:|#)(?P<target>[^)\s]+)\)")

_PICTURE = re.compile(r"!\[[^\]]*\]\((?!\w+:)[^)]*\)\n+(\*[^*]+\*\n+)?")  # with its caption, in italics


def description(readme: str, source: str | None, version: str) -> str:
    """The README for readers outside the repository.

    Args:
        readme: the page, in Markdown.
        source: address of the public repository, such as https://host/owner/name; None if there is none.
        version: of this release; its tag is "v" and this.
    """

    if source is None:
        return _LINK.sub(lambda match: match["text"], _PICTURE.sub("", readme))
    root, tag = source.rstrip("/"), f"v{version}"

    def absolute(match: re.Match[str]) -> str:
        kind = "raw" if match["picture"] else "blob"
        return f"{match['picture']}[{match['text']}]({root}/{kind}/{tag}/{match['target']})"

    return _LINK.sub(absolute, readme)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    setup(
        ext_modules=[RASTERIZER],
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
        long_description=description(page, project.get("urls", {}).get("Source"), project["version"]),
        long_description_content_type="text/markdown",
    )
