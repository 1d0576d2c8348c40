"""Eyes and mouth cut out of pictures."""

from __future__ import annotations

import numpy as np
import torch

from countenance.losses.parts import part_crops
from countenance.motion.spaces import ARKIT
from countenance.trackers.arkit_pose import crop_points


def frontal(x: float = 0.0) -> torch.Tensor:
    values = np.zeros((1, ARKIT.size), np.float32)
    values[0, ARKIT.index("x")] = x
    return torch.from_numpy(crop_points(values)[0])


def coordinates(size: int = 256) -> torch.Tensor:
    """A picture whose colours are where its pixels lie, -1 to 1."""
    along = (torch.arange(size) + 0.5) / size * 2 - 1
    return torch.stack(
        [along.expand(size, size), along[:, None].expand(size, size), torch.zeros(size, size)]
    )[None]


def test_crops_hold_the_eyes_and_the_mouth_at_their_place() -> None:
    places = frontal()
    eyes, mouth = part_crops(coordinates(), places)
    assert (eyes.shape, mouth.shape) == ((1, 3, 96, 192), (1, 3, 128, 128))
    for crop, inside in ((eyes, (33, 263, 159, 386, 70, 300)), (mouth, (61, 291, 13, 14, 0, 17))):
        low, high = crop[0, :2].flatten(1).min(1).values, crop[0, :2].flatten(1).max(1).values
        points = places[0, list(inside)]
        assert ((points > low) & (points < high)).all()
    assert mouth[0, 1].min() > places[0, 159, 1], "no eyes in the mouth's crop"


def test_crops_follow_the_face() -> None:
    moved = [
        a - b
        for a, b in zip(
            part_crops(coordinates(), frontal(0.1)), part_crops(coordinates(), frontal()), strict=True
        )
    ]
    for difference in moved:
        torch.testing.assert_close(
            difference[0, 0], torch.full_like(difference[0, 0], 0.2), atol=1e-4, rtol=0
        )
        torch.testing.assert_close(difference[0, 1], torch.zeros_like(difference[0, 1]), atol=1e-4, rtol=0)
