"""Motion: named coefficients over time, and what can be done with them before anything is drawn."""

from countenance.motion.expressions import EXPRESSIONS, expression
from countenance.motion.files import load_motion, save_motion
from countenance.motion.interpolation import interpolate, keyframes, sweep
from countenance.motion.mediapipe_shapes import arkit_from_mediapipe
from countenance.motion.sequence import Motion
from countenance.motion.smoothing import smooth
from countenance.motion.spaces import ARKIT, BFM, FLAME, REGIONS, Coefficient, MotionSpace, get_space
from countenance.motion.transfer import nearest_frame, transfer

__all__ = [
    "ARKIT",
    "BFM",
    "EXPRESSIONS",
    "FLAME",
    "REGIONS",
    "Coefficient",
    "Motion",
    "MotionSpace",
    "arkit_from_mediapipe",
    "expression",
    "get_space",
    "interpolate",
    "keyframes",
    "load_motion",
    "nearest_frame",
    "save_motion",
    "smooth",
    "sweep",
    "transfer",
]
