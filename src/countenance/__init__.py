"""Countenance: controllable portrait animation.

Five lines:

    import countenance as cn

    renderer = cn.load_renderer()
    portrait = cn.load_portrait("me.jpg", crop_scale=renderer.spec.crop_scale)
    motion = cn.transfer(cn.driver_motion("driver.mp4"), portrait.motion)
    cn.write_video("out.mp4", cn.animate(portrait, motion, renderer))

Names are loaded on first use, so that importing the package is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from countenance.threads import share_cores

share_cores()  # before anything loads NumPy or PyTorch

if TYPE_CHECKING:
    from countenance.animation import Animation as Animation
    from countenance.animation import animate as animate
    from countenance.animation import animate_group as animate_group
    from countenance.editing import edit as edit
    from countenance.errors import CountenanceError as CountenanceError
    from countenance.evaluation.comparison import evaluate as evaluate
    from countenance.motion.files import load_motion as load_motion
    from countenance.motion.files import save_motion as save_motion
    from countenance.motion.sequence import Motion as Motion
    from countenance.motion.transfer import transfer as transfer
    from countenance.pipeline.drivers import driver_motion as driver_motion
    from countenance.pipeline.drivers import track as track
    from countenance.pipeline.outputs import write_marked_image as write_marked_image
    from countenance.pipeline.outputs import write_video as write_video
    from countenance.pipeline.sources import load_portrait as load_portrait
    from countenance.pipeline.sources import load_portraits as load_portraits
    from countenance.pipeline.speech import Performance as Performance
    from countenance.pipeline.speech import talk as talk
    from countenance.portrait.portrait import Portrait as Portrait
    from countenance.renderers.catalogue import load_renderer as load_renderer
    from countenance.trackers.catalogue import load_tracker as load_tracker

_HOMES = {
    "Animation": "animation",
    "CountenanceError": "errors",
    "Motion": "motion.sequence",
    "Performance": "pipeline.speech",
    "Portrait": "portrait.portrait",
    "animate": "animation",
    "animate_group": "animation",
    "driver_motion": "pipeline.drivers",
    "edit": "editing",
    "evaluate": "evaluation.comparison",
    "load_motion": "motion.files",
    "load_portrait": "pipeline.sources",
    "load_portraits": "pipeline.sources",
    "load_renderer": "renderers.catalogue",
    "load_tracker": "trackers.catalogue",
    "save_motion": "motion.files",
    "talk": "pipeline.speech",
    "track": "pipeline.drivers",
    "transfer": "motion.transfer",
    "write_marked_image": "pipeline.outputs",
    "write_video": "pipeline.outputs",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("countenance")
        except PackageNotFoundError:  # a checkout on the path that nobody installed
            return "unknown"
    if name not in _HOMES:
        raise AttributeError(f"module 'countenance' has no attribute '{name}'")
    return getattr(import_module(f"countenance.{_HOMES[name]}"), name)
