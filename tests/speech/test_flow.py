from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.audio.features import WIDTH, SpeechFeatures
from countenance.errors import BadValue, MotionSpaceMismatch, WeightsDamaged
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT, BFM
from countenance.speech.catalogue import load_speech_driver
from countenance.speech.flow import SPECS
from countenance.speech.flow.config import FlowConfig, TalkFlowConfig, debug, lite, paper
from countenance.speech.flow.driver import FlowDriver, from_file
from countenance.speech.flow.network import ActNorm, ConditionalFlow, InvertibleLinear, previous, windows
from countenance.speech.flow.sampler import FlowSampler
from countenance.speech.flow.talk import Moved, TalkFlow

CONDITION = 7


def shaken(module: torch.nn.Module, size: float = 0.3) -> torch.nn.Module:
    """With random weights everywhere, so that no coupling is the identity."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def a_flow(channels: int = 5, steps: int = 4) -> ConditionalFlow:
    torch.manual_seed(1)
    flow = ConditionalFlow(FlowConfig(channels, steps, hidden=6), CONDITION)
    shaken(flow)
    return flow


def some_features(frames: int = 40, seed: int = 0) -> SpeechFeatures:
    generator = np.random.default_rng(seed)
    log_mel = generator.uniform(-1, 0.5, (frames, WIDTH)).astype(np.float32)
    return SpeechFeatures(log_mel, np.ones(frames, np.float32))


@settings(max_examples=20, deadline=None)
@given(channels=st.integers(2, 9), steps=st.integers(1, 10), seed=st.integers(0, 1000))
def test_the_flow_undoes_itself(channels: int, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    flow = ConditionalFlow(FlowConfig(channels, steps, hidden=4), CONDITION)
    shaken(flow, 0.1)
    motion, condition = torch.randn(2, 9, channels), torch.randn(2, 9, CONDITION)
    with torch.inference_mode():
        noise, _ = flow(motion, condition)
        again, _ = flow.inverse(noise, condition)
    assert not torch.allclose(noise, motion, atol=1e-2)
    torch.testing.assert_close(again, motion, atol=1e-5 * max(1.0, float(motion.abs().max())) * steps, rtol=0)


def test_published_sizes_undo_themselves_to_1e_5() -> None:
    torch.manual_seed(0)
    flow = ConditionalFlow(replace(paper().expression, hidden=32), 20)
    motion, condition = torch.randn(2, 30, 64), torch.randn(2, 30, 20)
    flow.train()
    flow(motion, condition)  # actnorm takes its scale from the data
    shaken(flow, 0.01)
    with torch.inference_mode():
        again, _ = flow.inverse(flow(motion, condition)[0], condition)
    assert float((again - motion).abs().max()) < 1e-5 * 10


def test_the_log_determinant_is_that_of_autograd() -> None:
    flow = a_flow().double()
    motion = torch.randn(1, 4, 5, dtype=torch.float64)
    condition = torch.randn(1, 4, CONDITION, dtype=torch.float64)
    _, stated = flow(motion, condition)
    for frame in range(4):

        def noise_of(values: torch.Tensor, frame: int = frame) -> torch.Tensor:
            changed = torch.cat([motion[:, :frame], values[None, None], motion[:, frame + 1 :]], 1)
            noise: torch.Tensor = flow(changed, condition)[0][0, frame]
            return noise

        jacobian = torch.autograd.functional.jacobian(noise_of, motion[0, frame])
        measured = torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(stated[0, frame], measured, atol=1e-9, rtol=1e-9)


def test_the_likelihood_of_an_untrained_flow_is_the_gaussian_one() -> None:
    flow = ConditionalFlow(FlowConfig(4, 3, hidden=6), CONDITION).eval()
    motion = torch.randn(2, 6, 4)
    expected = 0.5 * (motion.square().mean(-1) + math.log(2 * math.pi))
    found = flow.negative_log_likelihood(motion, torch.randn(2, 6, CONDITION))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)  # its linear maps are rotations


def test_frames_one_by_one_are_the_frames_at_once() -> None:
    flow = a_flow()
    noise, condition = torch.randn(1, 8, 5), torch.randn(1, 8, CONDITION)
    with torch.inference_mode():
        whole, _ = flow.inverse(noise, condition)
        memories, frames = None, []
        for t in range(8):
            frame, memories = flow.inverse(noise[:, t : t + 1], condition[:, t : t + 1], memories)
            frames.append(frame)
    torch.testing.assert_close(torch.cat(frames, 1), whole, atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        forgetful = torch.cat(
            [flow.inverse(noise[:, t : t + 1], condition[:, t : t + 1])[0] for t in range(8)], 1
        )
    assert not torch.allclose(forgetful[:, 1:], whole[:, 1:], atol=1e-3)


def test_actnorm_takes_scale_and_bias_from_the_first_batch_only() -> None:
    norm = ActNorm(3).train()
    x = torch.randn(4, 50, 3) * torch.tensor([5.0, 0.1, 1.0]) + 2
    y, determinant = norm(x)
    torch.testing.assert_close(y.flatten(0, 1).mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.flatten(0, 1).std(0), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(determinant, -x.flatten(0, 1).std(0).log().sum(), atol=1e-3, rtol=0)
    again, _ = norm(x + 1)
    assert float(again.mean()) > 0.3


def test_the_linear_map_begins_as_a_rotation() -> None:
    torch.manual_seed(3)
    weight = InvertibleLinear(6).weight()
    torch.testing.assert_close(weight @ weight.T, torch.eye(6), atol=1e-5, rtol=0)


def test_windows_and_previous_frames() -> None:
    values = torch.arange(5.0)[None, :, None]
    assert windows(values, 1, 2)[0].tolist() == [
        [0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 4], [3, 4, 4, 4],
    ]  # fmt: skip
    before = previous(values, 2, torch.tensor([[9.0]]))
    assert before[0].tolist() == [[9, 9], [9, 0], [0, 1], [1, 2], [2, 3]]
    two = previous(torch.tensor([[[1.0, 10.0], [2.0, 20.0]]]), 2, torch.tensor([[0.0, 5.0]]))
    assert two[0, 1].tolist() == [0, 5, 1, 10]


def test_published_sizes() -> None:
    config = paper()
    assert (config.expression_steps, config.pose_steps, config.past, config.ahead) == (10, 8, 5, 6)
    assert config.condition(config.expression) == 5 * 64 + 12 * WIDTH
    assert config.condition(config.pose) == 5 * 6 + 12 * WIDTH + 6
    with pytest.raises(BadValue, match="split"):
        FlowConfig(1, 2)


def a_network(config: TalkFlowConfig | None = None) -> TalkFlow:
    torch.manual_seed(2)
    network = TalkFlow(config or debug())
    shaken(network, 0.1)
    return network


def test_normalised_motion_comes_back() -> None:
    network = a_network(replace(debug(), components=0))
    motion = torch.rand(2, 6, 58)
    moved = network.normalised(motion)
    restored = network.restored(moved)
    torch.testing.assert_close(restored[..., :55], motion[..., :55], atol=1e-4, rtol=0)
    torch.testing.assert_close(restored[..., 55:], motion[..., 55:] - motion[:, :1, 55:], atol=1e-4, rtol=0)
    assert float(moved.pose[:, 0, 3:].abs().max()) == 0


def test_the_fast_sampler_gives_the_networks_numbers() -> None:
    network = a_network()
    features = some_features(12)
    sound = torch.from_numpy(features.log_mel)[None]
    noise = Moved(torch.randn(1, 12, 4), torch.randn(1, 12, 6))
    start = Moved(torch.randn(1, 1, 4), torch.randn(1, 1, 6))
    with torch.inference_mode():
        heard = network.hear(sound)
        state = network.begin(start, heard.at(0))
        slow = [
            network.sample(heard.at(t), Moved(*(n[:, t : t + 1] for n in noise)), state) for t in range(12)
        ]
    first = (start.pose[0, 0]).numpy()
    sampler = FlowSampler(network.pose, 5 * 6, first)
    known, recent = sampler.hear(heard.windows[0].numpy()), np.tile(first, 5)
    for t in range(12):
        frame = sampler.next(noise.pose[0, t].numpy(), recent, known, t)
        np.testing.assert_allclose(frame, slow[t].pose[0, 0], atol=2e-4, rtol=2e-4)
        recent = np.concatenate([recent[6:], frame])


def test_a_driver_repeats_itself_and_follows_its_seed() -> None:
    driver = load_speech_driver("flow-lite")
    features = some_features(60)
    one, same, other = (driver.motion(features, seed=s) for s in (3, 3, 4))
    assert (one.space, one.fps, len(one)) == (ARKIT, 25.0, 60)
    np.testing.assert_array_equal(one.values, same.values)
    pose, lips = ARKIT.region_indices("pose"), ARKIT.region_indices("lips")
    assert np.abs(one.values - other.values)[:, pose].mean() > 0.005
    shapes = one.values[:, :52]
    assert shapes.min() >= 0
    assert shapes.max() <= 1
    calm = [driver.motion(features, seed=s, temperature=0.0).values for s in (1, 2)]
    np.testing.assert_array_equal(*calm)
    spread = np.std([driver.motion(features, seed=s, temperature=0.6).values for s in range(4)], 0).mean(0)
    assert spread[lips].mean() < 0.5 * spread[ARKIT.region_indices("brows")].mean()


def test_a_performance_starts_where_the_portrait_is() -> None:
    own = Motion.neutral(ARKIT, 1, 25.0).set(yaw=0.3, x=0.1, logScale=-0.2)
    motion = load_speech_driver("flow-lite").motion(some_features(30), first=own, temperature=0.3)
    assert abs(float(motion["yaw"][0]) - 0.3) < 0.15
    assert abs(float(motion["x"][0]) - 0.1) < 0.05
    assert abs(float(motion["logScale"][0]) + 0.2) < 0.05


def test_minutes_do_not_drift_away() -> None:
    motion = load_speech_driver("flow-lite").motion(some_features(3000), seed=1)
    assert np.isfinite(motion.values).all()
    assert np.degrees(np.abs(motion["yaw", "pitch", "roll"])).max() < 45
    assert np.abs(motion["x", "y", "logScale"]).max() < 0.5


def test_wrong_use_is_named() -> None:
    driver = load_speech_driver("flow-lite")
    with pytest.raises(BadValue, match="temperature"):
        driver.motion(some_features(5), temperature=-1)
    with pytest.raises(MotionSpaceMismatch):
        driver.motion(some_features(5), first=Motion.neutral(BFM, 1, 25.0))


def test_files(tmp_path: Path) -> None:
    from countenance.weights.weight_files import save_weights

    network = a_network()
    path = tmp_path / "mine.safetensors"
    save_weights(path, network, "talk-flow", network.config, {}, half=False)
    driver = load_speech_driver(str(path))
    assert driver.spec.name == "mine"
    expected = FlowDriver(network, SPECS[0]).motion(some_features(9))
    np.testing.assert_array_equal(driver.motion(some_features(9)).values, expected.values)
    save_weights(path, network, "talk-flow", lite(), {}, half=False)
    with pytest.raises(WeightsDamaged, match=r"shape|missing|part"):
        from_file(path)
