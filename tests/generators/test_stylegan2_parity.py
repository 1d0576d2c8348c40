"""Our StyleGAN2 against numbers from the authors' networks."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from countenance.generators.stylegan2 import ops
from countenance.generators.stylegan2.config import DiscriminatorConfig, StyleGAN2Config
from countenance.generators.stylegan2.discriminator import Discriminator
from countenance.generators.stylegan2.layers import ConvLayer, FullyConnected
from countenance.generators.stylegan2.mapping import mixed
from countenance.generators.stylegan2.official import load_official, load_official_discriminator
from countenance.generators.stylegan2.synthesis import Generator
from countenance.weights.weight_files import fill
from generators.parity_cases import Case, Tensors, layers_heard, meta, relative_error, shapes

GENERATORS = ("tiny-32", "tiny-32-label", "tiny-64-clamp")
DISCRIMINATORS = ("discriminator-32", "discriminator-32-skip-label")


@pytest.fixture(scope="module")
def parity(shared: Path) -> Path:
    return shared / "parity" / "stylegan2"


def configured(kind: type, hyper: dict[str, Any]) -> Any:
    return kind(**{field.name: hyper[field.name] for field in fields(kind) if field.name in hyper})


def generator_of(case: Case, weights: Tensors) -> Generator:
    generator = Generator(configured(StyleGAN2Config, case.hyper))
    assert shapes(generator) == case.keys
    assert list(generator.state_dict()) == list(case.keys)
    fill(generator, weights, case.folder)
    return generator.eval().to(case.device)


def results(generator: Generator, case: Case) -> Tensors:
    """Everything that a generator's case lists."""
    given, hyper = case.given, case.hyper
    z, c = given["z"], given.get("c")
    psi, cutoff = hyper["truncation_psi"], hyper["truncation_cutoff"]
    with torch.no_grad(), layers_heard(generator) as heard:
        ws = generator.mapping(z, c)
        image = generator.synthesis(given["ws_layers"])
        by_layer = {name: tensor for name, tensor in heard.items() if isinstance(tensor, Tensor)}
        by_layer |= {f"{name}.img": pair[1] for name, pair in heard.items() if isinstance(pair, tuple)}
    with torch.no_grad():
        ws_mixed = mixed(ws[:1], ws[1:2], hyper["style_mix_layers"])
        return {
            **{name: tensor for name, tensor in by_layer.items() if name in case.expected},
            "mapping.input_normalized": generator.mapping.normalized_input(z, c),
            "ws": ws,
            "ws_truncated": generator.mapping(z, c, psi),
            "ws_truncated_cutoff": generator.mapping(z, c, psi, cutoff),
            "image_ws_layers": image,
            "image_const": generator.synthesis(ws),
            "image_none": generator.synthesis(ws, noise="none"),
            "image_truncated": generator(z, c, truncation_psi=psi),
            "ws_mixed": ws_mixed,
            "image_mixed": generator.synthesis(ws_mixed),
        }


@pytest.mark.parametrize("name", GENERATORS)
def test_the_generator_gives_the_authors_numbers(parity: Path, name: str, device: str) -> None:
    case = Case(parity / name, device)
    ours = results(generator_of(case, case.weights), case)
    assert set(ours) == set(case.expected)
    case.compare(ours)


@pytest.mark.parametrize("name", GENERATORS)
def test_one_picture_at_a_time_is_the_same(parity: Path, name: str, device: str) -> None:
    case = Case(parity / name, device)
    generator = generator_of(case, case.weights)
    with torch.no_grad():
        alone = [generator.synthesis(ws[None]) for ws in case.given["ws_layers"]]
    case.compare({"image_ws_layers": torch.cat(alone)})


def test_a_wrong_weight_is_noticed(parity: Path) -> None:
    case = Case(parity / "tiny-32")
    weights = case.weights
    weights["synthesis.b8.conv0.affine.bias"][0] += 0.05
    ours = results(generator_of(case, weights), case)
    assert relative_error(ours["image_const"], case.expected["image_const"]) > case.tolerance


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_discriminator_gives_the_authors_numbers(parity: Path, name: str, device: str) -> None:
    case = Case(parity / name, device)
    critic = Discriminator(configured(DiscriminatorConfig, case.hyper)).eval()
    assert list(critic.state_dict()) == list(case.keys)
    fill(critic, case.weights, case.folder)
    critic.to(device)
    img, c = case.given["img"], case.given.get("c")
    with torch.no_grad(), layers_heard(critic) as heard:
        ours = {"logits": critic(img, c)}
    for name, pair in heard.items():
        if isinstance(pair, tuple):
            heard = {**heard, f"{name}.x": pair[0], f"{name}.img": pair[1]}
    ours["layer.b4.mbstd"] = heard["input.b4.conv"]
    ours |= {name: tensor for name, tensor in heard.items() if name in case.expected}
    with torch.no_grad():
        ours["logits_first_two"] = critic(img[:2], None if c is None else c[:2])
    assert set(ours) == set(case.expected)
    case.compare(ours)


def test_names_and_shapes_of_the_published_networks(parity: Path) -> None:
    case = Case(parity / "official-full-generator-1024")
    generator = meta(lambda: Generator(configured(StyleGAN2Config, case.hyper)))
    assert generator.config == StyleGAN2Config()
    assert generator.config.num_ws == case.hyper["num_ws"]
    assert list(shapes(generator).items()) == list(case.keys.items())
    case = Case(parity / "official-full-discriminator-1024")
    critic = meta(lambda: Discriminator(configured(DiscriminatorConfig, case.hyper)))
    assert critic.config == DiscriminatorConfig()
    assert list(shapes(critic).items()) == list(case.keys.items())


def test_the_published_container(parity: Path) -> None:
    case = Case(parity / "checkpoint-container")
    generator = load_official(case.folder / "sample.pkl")
    assert generator.config == configured(StyleGAN2Config, case.hyper)
    assert list(generator.state_dict()) == list(case.keys)
    for name, tensor in case.weights.items():
        assert torch.equal(generator.state_dict()[name], tensor), name
    with torch.no_grad():
        ws = generator.mapping(case.given["z"])
        case.compare({"ws": ws, "image": generator.synthesis(ws)})
    critic = load_official_discriminator(case.folder / "sample.pkl")
    assert critic.config == configured(DiscriminatorConfig, case.config["discriminator_hyper_parameters"])


def weighted(layer: torch.nn.Module, tensors: dict[str, Tensor | None]) -> torch.nn.Module:
    with torch.no_grad():
        for name in ("weight", "bias"):
            tensor = tensors[name]
            if tensor is not None:
                layer.get_parameter(name).copy_(tensor)
    return layer.to(str(tensors["weight"].device))  # type: ignore[union-attr]


def fully_connected(tensors: dict[str, Tensor | None], arguments: dict[str, Any]) -> Tensor:
    outputs, inputs = tensors["weight"].shape
    bias_init = None if tensors["bias"] is None else 0
    layer = FullyConnected(inputs, outputs, bias_init=bias_init, **arguments)
    return weighted(layer, tensors)(tensors["x"])


def conv2d_layer(tensors: dict[str, Tensor | None], arguments: dict[str, Any]) -> Tensor:
    outputs, inputs, kernel, _ = tensors["weight"].shape
    gain = arguments.pop("gain", 1)
    activation = arguments.pop("activation", "linear")
    layer = ConvLayer(
        inputs, outputs, kernel, bias=tensors["bias"] is not None, activation=activation, **arguments
    )
    return weighted(layer, tensors)(tensors["x"], gain)


def operation(name: str, tensors: dict[str, Tensor | None], arguments: dict[str, Any]) -> Tensor:
    """One entry of the case ``ops``; tensors and arguments have the authors' names."""
    arguments.pop("fused_modconv", None)  # two ways of theirs to the same numbers
    if name == "fully_connected":
        return fully_connected(tensors, arguments)
    if name == "conv2d_layer":
        return conv2d_layer(tensors, arguments)
    first = tensors.pop("f" if name == "setup_filter" else "x")
    renamed = {"w": "weight", "b": "bias"}
    named = {renamed.get(key, key): tensor for key, tensor in tensors.items()}
    function = {"normalize_2nd_moment": "second_moment_normalized"}.get(name, name)
    return getattr(ops, function)(first, **named, **arguments)


def test_operations(parity: Path, device: str) -> None:
    case = Case(parity / "ops", device)
    given = case.given
    ours = {}
    for entry in case.config["operations"]:
        tensors = {key: None if source is None else given[source] for key, source in entry["tensors"].items()}
        with torch.no_grad():
            ours[entry["output"]] = operation(entry["operation"], tensors, dict(entry["arguments"]))
    assert set(ours) == set(case.expected)
    case.compare(ours)
    assert relative_error(ours["filter2d.f1331"], case.expected["filter2d.f_odd"]) > case.tolerance
