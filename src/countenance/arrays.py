"""Names for the array types that cross module borders."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""RGB picture at the edges of the package: H x W x 3, uint8, 0..255."""

Alpha: TypeAlias = NDArray[np.uint8]
"""Opacity of a picture: H x W, uint8, 0 clear to 255 opaque."""

Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int32]
Mask: TypeAlias = NDArray[np.bool_]
