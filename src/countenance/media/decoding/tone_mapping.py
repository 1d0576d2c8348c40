"""Films with more light or colours than BT.709 shows: HLG and PQ (BT.2100), BT.2020 and Display P3, to sRGB numbers.

SDR white is at 203 nits, and HLG is shown on a display of 1000 nits, as ITU-R BT.2408 has it. What is darker keeps its
look; what is brighter is compressed into the last tenth of the range.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from countenance.arrays import Floats, Image

_HLG, _PQ = 18, 16  # transfer characteristics of ITU-T H.273
_BT2020, _P3_DCI, _P3 = 9, 11, 12  # colour primaries of the same
_WHITE_NITS, _HLG_PEAK_NITS, _PQ_PEAK_NITS = 203.0, 1000.0, 10_000.0
_HLG_GAMMA: Final = 1.2
_DISPLAY_GAMMA: Final = 2.4  # BT.1886
_KNEE: Final = 0.9  # of the encoded range; white comes out as 0.963
_BRIGHTEST: Final = 4.0  # linear, SDR white being 1; encoded it is 1 to 8 bits
_CODES: Final = 65_536

_TO_709: Final = {
    _BT2020: ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)),
    _P3: ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274)),
}  # fmt: skip
_TO_709[_P3_DCI] = _TO_709[_P3]
_LUMINANCE: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020


class ToneMapping:
    """Pictures of one film to BT.709.

    Args:
        transfer: ITU-T H.273's number.
        primaries: likewise.
    """

    def __init__(self, transfer: int, primaries: int) -> None:
        codes = np.linspace(0, 1, _CODES)
        self._is_hlg = transfer == _HLG
        brighter = transfer in (_HLG, _PQ)
        wide = primaries if primaries in _TO_709 else _BT2020
        self._to_709 = np.array(_TO_709[wide], np.float32)
        light = {_HLG: _hlg_scene, _PQ: _pq}.get(transfer, _sdr)
        self._light = light(codes).astype(np.float32)
        encoded = (codes**2 * _BRIGHTEST) ** (1 / _DISPLAY_GAMMA)
        if brighter:
            above = encoded - _KNEE
            rolled = _KNEE + (1 - _KNEE) * (1 - np.exp(-above / (1 - _KNEE)))
            encoded = np.where(above > 0, rolled, encoded)
        self._encoded = np.rint(encoded.clip(0, 1) * 255).astype(np.uint8)

    @staticmethod
    def needed(transfer: int, primaries: int) -> bool:
        """Whether a film's tags name light or colours that BT.709 does not have."""
        return transfer in (_HLG, _PQ) or primaries in _TO_709

    def mapped(self, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> Image:
        """H x W x 3 uint16, RGB as encoded in the film, full range, to RGB of 8 bits."""
        import cv2

        light: Floats = self._light[pixels]
        if self._is_hlg:  # the display's own gamma, by the luminance of the scene
            scene = cv2.transform(light, _LUMINANCE[None])
            light *= (scene ** (_HLG_GAMMA - 1) * (_HLG_PEAK_NITS / _WHITE_NITS)).reshape(*light.shape[:2], 1)
        shown = cv2.transform(light, self._to_709)
        np.clip(shown, 0, _BRIGHTEST, out=shown)
        indices = np.sqrt(shown * np.float32(1 / _BRIGHTEST)) * np.float32(_CODES - 1)
        mapped: Image = self._encoded[indices.astype(np.uint16)]
        return mapped


_Curve = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _hlg_scene(codes: _Curve) -> _Curve:
    """Light of the scene, 0 to 1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)


def _pq(codes: _Curve) -> _Curve:
    """Light of the display, SDR white being 1 (BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 0.1593017578, 78.84375, 0.8359375, 18.8515625, 18.6875
    powered = codes ** (1 / m2)
    nits = _PQ_PEAK_NITS * (np.maximum(powered - c1, 0) / (c2 - c3 * powered)) ** (1 / m1)
    return nits / _WHITE_NITS


def _sdr(codes: _Curve) -> _Curve:
    return codes**_DISPLAY_GAMMA
