from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from countenance.errors import BadValue, WeightsDamaged, WeightsMissing
from countenance.evaluation.metrics.lip_sync import LipSync, lip_sync, mfcc
from countenance.evaluation.metrics.syncnet import FILE, SOURCE, SyncNet, load_syncnet

LAYERS = {
    "netcnnaud": {0: (64, 1, 3, 3), 4: (192, 64, 3, 3), 8: (384, 192, 3, 3), 11: (256, 384, 3, 3),
                  14: (256, 256, 3, 3), 18: (512, 256, 5, 4)},
    "netcnnlip": {0: (96, 3, 5, 7, 7), 4: (256, 96, 1, 5, 5), 8: (256, 256, 1, 3, 3), 11: (256, 256, 1, 3, 3),
                  14: (256, 256, 1, 3, 3), 18: (512, 256, 1, 6, 6)},
    "netfcaud": {0: (512, 512), 3: (1024, 512)},
    "netfclip": {0: (512, 512), 3: (1024, 512)},
}  # fmt: skip
UNNORMALISED = {"netfcaud.3", "netfclip.3"}


def authors_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for part, layers in LAYERS.items():
        for number, shape in layers.items():
            shapes |= {f"{part}.{number}.weight": shape, f"{part}.{number}.bias": shape[:1]}
            if f"{part}.{number}" not in UNNORMALISED:
                norm = f"{part}.{number + 1}"
                names = ("weight", "bias", "running_mean", "running_var")
                shapes |= {f"{norm}.{name}": shape[:1] for name in names}
                shapes[f"{norm}.num_batches_tracked"] = ()
    return shapes


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """A stand-in for the authors' file: its names and shapes, filled from a seed."""
    rng = np.random.Generator(np.random.PCG64(7))
    tensors = {}
    for name, shape in sorted(authors_shapes().items()):
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.zeros((), dtype=torch.int64)
            continue
        z = rng.standard_normal(shape, np.float32)
        if len(shape) > 1:
            z *= np.sqrt(2 / np.prod(shape[1:])).astype(np.float32)
        elif name.endswith("running_var"):
            z = np.exp(z / 5)
        else:
            z = z / 10 + np.float32(name.endswith("weight"))
        tensors[name] = torch.from_numpy(z)
    return tensors


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COUNTENANCE_ASSETS", str(tmp_path))
    return tmp_path


class Loudness:
    """Lips as the brightness of five frames, sound as its loudness in five frames: equal where they belong together."""

    def embed_lips(self, faces: Tensor) -> Tensor:
        return faces.mean((1, 3, 4)) / 16

    def embed_sound(self, mfcc: Tensor) -> Tensor:
        return (mfcc[:, 0, 0].reshape(-1, 5, 4)[..., 1:3].mean(2) - 6) * 2


class Apart:
    """All lips alike, all sound alike, at right angles."""

    def embed_lips(self, faces: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).repeat(len(faces), 1)

    def embed_sound(self, mfcc: Tensor) -> Tensor:
        return torch.tensor([[0.0, 1.0]]).repeat(len(mfcc), 1)


def talking(picture_late: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Pictures as bright as the sound is loud in dB, but so many frames later."""
    level = np.random.default_rng(0).uniform(0.2, 0.8, count + 40)
    seen, heard = level[20 - picture_late :][:count], level[20:][:count]
    noise = np.random.default_rng(1).choice([-1.0, 1.0], count * 640)
    # log energy of noise is linear in the exponent; 6 is where brightness 0 lies
    samples = noise * np.exp((np.repeat(heard, 640) * 8 - noise_level() + 6) / 2) / 32768
    frames = np.broadcast_to((seen * 256).astype(np.uint8)[:, None, None, None], (count, 224, 224, 3))
    return frames, samples.astype(np.float32)


def noise_level() -> float:
    return float(np.log(400 / 2 * (1 + 0.97**2)))


@pytest.mark.parametrize("late", [-15, -4, 0, 3, 15])
def test_the_offset_says_how_late_the_picture_is(late: int) -> None:
    result = lip_sync(*talking(late), Loudness())
    assert result.offset_frames == late
    assert result.confidence > 2


def test_lips_that_fit_score_better_than_others() -> None:
    frames, samples = talking(0)
    fitting, foreign = (
        lip_sync(frames, samples, Loudness()),
        lip_sync(frames, samples[::-1].copy(), Loudness()),
    )
    assert fitting.confidence > 2 * foreign.confidence
    assert fitting.distance < foreign.distance / 2


def test_the_figures_are_those_of_the_definition() -> None:
    windows = 45 - 5
    result = lip_sync(*talking(0, 45), Apart())
    # pairs are sqrt(2) apart, and beside the clip's ends lips are 1 from nothing: the least is at both ends,
    # of 31 offsets the 16th in order is 8
    inside = np.sqrt(2) - 1
    at_end, at_median = (1 + (windows - shift) / windows * inside for shift in (15, 8))
    assert result.distance == pytest.approx(at_end)
    assert result.confidence == pytest.approx(at_median - at_end)
    assert result.offset_frames == 15


def test_frames_may_come_one_by_one_and_the_longer_is_cut() -> None:
    frames, samples = talking(2)
    whole = lip_sync(frames[:50], samples[: 50 * 640], Loudness())
    assert lip_sync(iter(frames), samples[: 50 * 640 + 639], Loudness()) == whole
    assert lip_sync(iter(frames[:50]), samples, Loudness()).offset_frames == whole.offset_frames


def test_the_network_is_given_what_it_was_trained_on() -> None:
    given: list[Tensor] = []

    class Recording(Apart):
        def embed_lips(self, faces: Tensor) -> Tensor:
            given.append(faces)
            return super().embed_lips(faces)

        def embed_sound(self, mfcc: Tensor) -> Tensor:
            given.append(mfcc)
            return super().embed_sound(mfcc)

    frames = np.zeros((30, 224, 224, 3), np.uint8)
    frames[..., 0], frames[..., 2] = np.arange(30)[:, None, None], 200
    frames[:, 10, 20] = 99
    samples = np.random.default_rng(0).normal(size=30 * 640).astype(np.float32) / 10
    lip_sync(frames, samples, Recording())
    lips = torch.cat([g for g in given if g.ndim == 5])
    sound = torch.cat([g for g in given if g.ndim == 4])
    assert lips.shape[1:] == (3, 5, 224, 224)
    assert lips[7, :, :, 0, 0].tolist() == [[200] * 5, [0] * 5, [7, 8, 9, 10, 11]]
    assert (lips[:, :, :, 10, 20] == 99).all()
    expected = mfcc(np.round(samples * 32768.0))
    np.testing.assert_allclose(sound[7, 0], expected[28:48].T, rtol=1e-5)
    assert sound.shape == (25, 1, 13, 20)


def test_mfcc_are_those_of_python_speech_features() -> None:
    t = np.arange(560)
    cepstra = mfcc((t * t * 37) % 2001 - 1000)
    # python_speech_features 0.6: mfcc(signal.astype(np.int16), 16000)[:, [0, 1, 2, 7, 12]]
    expected = [
        [18.694219, -33.983512, -6.593261, 1.629153, -6.216748],
        [18.686549, -33.876788, -6.24851, 6.352078, -6.811264],
    ]
    assert cepstra.shape == (2, 13)
    np.testing.assert_allclose(cepstra[:, [0, 1, 2, 7, 12]], expected, atol=2e-6)


def test_the_energy_of_a_click_is_the_closed_form() -> None:
    click = np.zeros(400)
    click[100] = 1000
    # |1 - 0.97 exp(-iw)|^2, summed over the 257 bins from 0 to pi, where the cosines cancel
    energy = 1000**2 * 257 * (1 + 0.97**2) / 512
    assert mfcc(click)[0, 0] == pytest.approx(np.log(energy))


def test_silence_is_finite_and_the_last_step_is_filled_up() -> None:
    cepstra = mfcc(np.zeros(561))
    assert cepstra.shape == (3, 13)
    np.testing.assert_allclose(cepstra[:, 0], np.log(np.finfo(float).eps))
    np.testing.assert_allclose(cepstra[:, 1:], 0, atol=1e-9)


def test_names_and_shapes_are_the_authors() -> None:
    assert {name: tuple(t.shape) for name, t in SyncNet().state_dict().items()} == authors_shapes()


def test_the_network_gives_the_published_programs_numbers(state: dict[str, Tensor], assets: Path) -> None:
    torch.save(state, assets / FILE)
    network = load_syncnet()
    assert not network.training
    lips = torch.arange(3 * 5 * 224 * 224).reshape(1, 3, 5, 224, 224).mul(7919).remainder(256).float()
    cepstra = torch.arange(260).reshape(1, 1, 13, 20).mul(53).remainder(41).float() - 20
    with torch.no_grad():
        seen, heard = network.embed_lips(lips), network.embed_sound(cepstra)
    assert seen.shape == heard.shape == (1, 1024)
    # computed once with SyncNetModel.S of the package syncnet-python 0.2.3, on the same weights
    np.testing.assert_allclose(seen[0, [0, 1, 1023]], [-381.0791, 48.0117, -224.5823], rtol=1e-3)
    np.testing.assert_allclose(heard[0, [0, 1, 1023]], [-20.89064, -28.41958, 16.00066], rtol=1e-3)


def test_a_file_of_old_torch_is_read(state: dict[str, Tensor], assets: Path) -> None:
    old = {name: t for name, t in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, assets / FILE, _use_new_zipfile_serialization=False)
    loaded = load_syncnet().state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_a_clip_goes_through_the_whole_network(state: dict[str, Tensor], assets: Path) -> None:
    torch.save(state, assets / FILE)
    frames, samples = talking(0, 21)
    result = lip_sync(frames, samples)
    assert isinstance(result, LipSync)
    assert result.distance > 0
    assert result.confidence >= 0
    assert result == lip_sync(frames, samples, load_syncnet())


def test_missing_weights_are_said_in_one_line(assets: Path) -> None:
    with pytest.raises(WeightsMissing) as error:
        lip_sync(*talking(0))
    line = str(error.value)
    assert "\n" not in line
    assert FILE in line
    assert SOURCE in line
    assert str(assets / FILE) in line


def test_damaged_weights_are_noticed(state: dict[str, Tensor], assets: Path) -> None:
    path = assets / FILE
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(WeightsDamaged, match="no complete torch file"):
        load_syncnet()
    torch.save({"epoch": 3, **state}, path)
    with pytest.raises(WeightsDamaged, match="no table of tensors"):
        load_syncnet()
    torch.save({n: t for n, t in state.items() if n != "netfclip.3.bias"}, path)
    with pytest.raises(WeightsDamaged, match=r"'netfclip\.3\.bias' is missing"):
        load_syncnet()
    torch.save(state | {"netfcaud.0.weight": torch.zeros(512, 256)}, path)
    with pytest.raises(WeightsDamaged, match=r"'netfcaud\.0\.weight' has shape \(512, 256\)"):
        load_syncnet()


def test_a_pickled_module_is_not_run(assets: Path) -> None:
    torch.save(torch.nn.Sequential(SyncNet().netfclip), assets / FILE)
    with pytest.raises(WeightsDamaged, match="asks to run Python code"):
        load_syncnet()


def test_clips_that_are_too_short_are_refused() -> None:
    frames, samples = talking(0, 40)
    lip_sync(frames[:21], samples, Apart())
    for few in (0, 4, 20):
        with pytest.raises(BadValue, match="the video is shorter"):
            lip_sync(frames[:few], samples, Apart())
    with pytest.raises(BadValue, match="the sound is shorter"):
        lip_sync(frames, samples[: 21 * 640 - 1], Apart())


@pytest.mark.parametrize(
    "samples",
    [np.zeros((2, 20000), np.float32), np.zeros(20000, np.int16), np.full(20000, np.nan, np.float32)],
    ids=["stereo", "integers", "NaN"],
)
def test_other_sound_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(BadValue, match=r"mono sound \(N,\) of finite floats"):
        lip_sync(talking(0)[0], samples, Apart())


@pytest.mark.parametrize(
    "frames", [np.zeros((40, 112, 112, 3), np.uint8), np.zeros((40, 224, 224, 3), np.float32)], ids=str
)
def test_other_pictures_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(BadValue, match=r"face crops of \(224, 224, 3\) uint8"):
        lip_sync(frames, talking(0)[1], Apart())
