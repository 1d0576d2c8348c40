"""Names for the 478 points of MediaPipe's face mesh: which numbers form lips, eyes, brows and outline.

Left and right are the person's. Chains run from image left to image right for a frontal face; closed rings
run clockwise as the viewer sees them, starting at the top. Indices 468-477 are the irises.
"""

from __future__ import annotations

VERTEX_COUNT = 478

# Lips: each chain from the person's right corner (image left) to the left corner, both corners included.
LIPS_UPPER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIPS_LOWER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
INNER_LIPS_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LIPS_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)

# Eyelids: from image left to image right, both corners included.
RIGHT_EYE_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
RIGHT_EYE_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
LEFT_EYE_UPPER = (362, 398, 384, 385, 386, 387, 388, 466, 263)
LEFT_EYE_LOWER = (362, 382, 381, 380, 374, 373, 390, 249, 263)

RIGHT_BROW = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55)
LEFT_BROW = (336, 296, 334, 293, 300, 285, 295, 282, 283, 276)

# Centre first, then four points around it.
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)
IRISES = (RIGHT_IRIS, LEFT_IRIS)

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

# The 68 points of the iBUG 300-W annotation, as nearest MediaPipe points.
IBUG_68 = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip

REGIONS: dict[str, tuple[int, ...]] = {
    "lips": tuple(sorted({*LIPS_UPPER, *LIPS_LOWER, *INNER_LIPS_UPPER, *INNER_LIPS_LOWER})),
    "rightEye": tuple(sorted({*RIGHT_EYE_UPPER, *RIGHT_EYE_LOWER})),
    "leftEye": tuple(sorted({*LEFT_EYE_UPPER, *LEFT_EYE_LOWER})),
    "rightBrow": RIGHT_BROW,
    "leftBrow": LEFT_BROW,
    "rightIris": RIGHT_IRIS,
    "leftIris": LEFT_IRIS,
    "outline": FACE_OVAL,
}
