"""What verbs that enroll a photo share: a renderer that says how far it is, and avatars kept in files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.devices import Device
from countenance.errors import BadValue, PoorPhoto

if TYPE_CHECKING:
    from countenance.portrait.portrait import Portrait


def load_enroller(model: str | None, device: Device = "auto") -> Any:
    """A renderer by name or file on a device, which shows its progress if enrolling takes long.

    Raises:
        CountenanceError: as :func:`countenance.renderers.catalogue.load_renderer`.
    """
    from countenance.cli.progress import Enrolling
    from countenance.renderers.catalogue import load_renderer

    renderer: Any = load_renderer(model, device)
    if hasattr(renderer, "progress"):
        renderer.progress = Enrolling()
    return renderer


def load_head_renderer(model: str, device: Device = "auto") -> Any:
    """The same of a renderer that knows a head in 3D and shows it from any camera.

    Raises:
        BadValue: the renderer can't.
    """
    renderer = load_enroller(model, device)
    if not hasattr(renderer, "render_view"):
        raise BadValue(
            f"model '{model}' makes no head in 3D; use --model otavatar-lite, or a .safetensors file of "
            "`countenance train otavatar`"
        )
    return renderer


def check_avatar(path: Path | None) -> None:
    """Fail early, before long work, where an avatar can be neither read nor written.

    Raises:
        OutputUnwritable: as :func:`countenance.atomic.check_writable`.
    """
    from countenance.atomic import check_writable

    if path is not None and not path.is_file():
        check_writable(path)


def enrolled(portrait: Portrait, renderer: Any, path: Path | None) -> Any:
    """The portrait's avatar: of the file if it is there; else enrolled, and written if a path was given.

    A photo that shows too little is enrolled with a warning (:class:`PoorPhoto`).

    Args:
        portrait: the person.
        renderer: whose avatar it is.
        path: a .safetensors file, or None.

    Raises:
        BadValue: the avatar in the file is that of another photo.
        WeightsDamaged: the file is no avatar of this renderer.
        OutputUnwritable: it can't be written.
    """
    import numpy as np

    if path is not None and path.is_file():
        avatar = renderer.load_avatar(path)
        same = avatar.crop == portrait.crop and np.array_equal(avatar.square, portrait.square)
        if not same:
            raise BadValue(f"{path} is the avatar of another photo; give another --avatar")
        return avatar
    if hasattr(renderer, "shortcomings"):
        for shortcoming in renderer.shortcomings(portrait):
            warnings.warn(PoorPhoto(shortcoming), stacklevel=2)
    avatar = renderer.enroll(portrait)
    if path is not None:
        avatar.save(path)
    return avatar
