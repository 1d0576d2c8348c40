"""Countenance: controllable portrait animation.

Five lines:

    import countenance as cn

    renderer = cn.load_renderer("geometric")
    portrait = cn.load_portrait("me.jpg", crop_scale=renderer.spec.crop_scale)
    motion = cn.transfer(cn.track("driver.mp4"), portrait.motion)
    cn.write_video("out.mp4", cn.animate(portrait, motion, renderer), motion.fps, model="geometric")

Names are loaded on first use, so that importing the package is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from countenance.animation import animate as animate
    from countenance.motion.files import load_motion as load_motion
    from countenance.motion.files import save_motion as save_motion
    from countenance.motion.sequence import Motion as Motion
    from countenance.motion.transfer import transfer as transfer
    from countenance.portrait.portrait import Portrait as Portrait
    from countenance.production import edited as edited
    from countenance.production import load_portrait as load_portrait
    from countenance.production import track as track
    from countenance.production import write_video as write_video
    from countenance.renderers.catalogue import load_renderer as load_renderer

_HOMES = {
    "Motion": "motion.sequence",
    "Portrait": "portrait.portrait",
    "animate": "animation",
    "edited": "production",
    "load_motion": "motion.files",
    "load_portrait": "production",
    "load_renderer": "renderers.catalogue",
    "save_motion": "motion.files",
    "track": "production",
    "transfer": "motion.transfer",
    "write_video": "production",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'countenance' has no attribute '{name}'")
    return getattr(import_module(f"countenance.{_HOMES[name]}"), name)
