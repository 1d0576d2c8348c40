"""Every reader of the package: how it is called, and honest files to damage."""

from __future__ import annotations

import io
import json
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from countenance.audio.samples import all_samples
from countenance.data.dataset import MANIFEST, Clip, Dataset, Manifest, save_landmarks
from countenance.data.speech_clips import load_speech
from countenance.errors import CountenanceError
from countenance.evaluation.protocols.protocol import FILE, Case, Protocol
from countenance.evaluation.study.answers import read_answers
from countenance.evaluation.study.key import Key, Shown, read_key
from countenance.evaluation.tracks import load_track, save_track
from countenance.evaluation.work import CaseResult
from countenance.face.alignment import load_standard_landmarks
from countenance.face.bfm import load_bfm
from countenance.face.flame import load_flame
from countenance.face.ict import load_ict
from countenance.media.gif import add_gif_comment, read_gif_comment
from countenance.media.image_writer import read_image_metadata
from countenance.media.images import read_image
from countenance.media.kinds import kind_of
from countenance.media.video import VideoReader, read_metadata
from countenance.motion.files import load_motion, save_motion
from countenance.motion.live_link import to_csv
from countenance.motion.sequence import Motion
from countenance.motion.spaces import ARKIT
from countenance.portrait.crop import Crop
from countenance.renderers.blocks.photo_avatar import PhotoAvatar
from countenance.renderers.geometric.avatar import GeometricAvatar
from countenance.weights.dlib_files import read_layers
from countenance.weights.restricted_pickle import ARRAYS, load_pickle
from countenance.weights.torch_files import TORCH_TENSORS, load_torch_file
from filmed import made_up_track
from sounds import write_film, write_sound
from studies import row, sheet


@dataclass(frozen=True)
class Seed:
    """An honest file.

    Attributes:
        name: of the file, suffix and all.
        kind: of :data:`fuzz.mutators.MUTATORS`.
        content: its bytes.
    """

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class Reader:
    """What reads files.

    Attributes:
        name: of the reader.
        seeds: makes honest files, in a folder that is empty.
        read: is given a file; raises :class:`CountenanceError` or nothing.
        whole: the honest files can be read; else they only go as far as their readers look first.
    """

    name: str
    seeds: Callable[[Path], Iterable[Seed]]
    read: Callable[[Path], object]
    whole: bool = True


def _any_of(path: Path, loads: Iterable[Callable[[Path], object]]) -> None:
    """All of them are tried; the last one's error where none reads it."""
    errors = list[CountenanceError | None]()
    for load in loads:
        try:
            load(path)
            errors.append(None)
        except CountenanceError as error:
            errors.append(error)
    if all(errors) and errors[-1] is not None:
        raise errors[-1]


def _kept(path: Path, kind: str) -> Seed:
    return Seed(path.name, kind, path.read_bytes())


# ---- media


def _picture() -> Image.Image:
    ramp = np.arange(24 * 24 * 3, dtype=np.uint8).reshape(24, 24, 3)
    return Image.fromarray(ramp)


def _pictures(folder: Path) -> Iterator[Seed]:
    picture = _picture()
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, kind, more in (
        ("a.png", "png", {}),
        ("a.jpg", "jpeg", {"exif": exif.tobytes()}),
        ("a.webp", "riff", {}),
        ("a.bmp", "bytes", {}),
        ("a.tiff", "bytes", {"compression": "tiff_deflate"}),
        ("a.gif", "gif", {}),
    ):
        picture.save(folder / name, **more)
        yield _kept(folder / name, kind)
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 200).save(folder / "deep.png")
    yield _kept(folder / "deep.png", "png")
    picture.convert("P").save(folder / "palette.png")
    yield _kept(folder / "palette.png", "png")
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    yield _kept(folder / "cmyk.jpg", "jpeg")


def _films(folder: Path) -> Iterator[Seed]:
    tone = np.sin(np.arange(4000) / 20).astype(np.float32) / 2
    for name, kind in (("a.mp4", "mp4"), ("a.mkv", "matroska")):
        yield _kept(write_film(folder / name, tone, seconds=0.2), kind)
    with av.open(str(folder / "a.webm"), "w") as container:
        stream: Any = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8))))
        container.mux(stream.encode())
    yield _kept(folder / "a.webm", "matroska")
    frames = [_picture(), _picture().rotate(90)]
    frames[0].save(folder / "film.gif", save_all=True, append_images=frames[1:], duration=80)
    add_gif_comment(folder / "film.gif", {"comment": "synthetic"})
    yield _kept(folder / "film.gif", "gif")
    frames[0].save(folder / "film.webp", save_all=True, append_images=frames[1:], duration=80)
    yield _kept(folder / "film.webp", "riff")
    frames[0].save(folder / "film.png", save_all=True, append_images=frames[1:], duration=80)
    yield _kept(folder / "film.png", "png")


def _sounds(folder: Path) -> Iterator[Seed]:
    tone = np.sin(np.arange(3000) / 20).astype(np.float32) / 2
    for name, kind in (
        ("a.wav", "riff"),
        ("a.flac", "bytes"),
        ("a.ogg", "bytes"),
        ("a.mp3", "bytes"),
        ("a.m4a", "mp4"),
    ):
        yield _kept(write_sound(folder / name, tone), kind)


def _all_media(folder: Path) -> Iterator[Seed]:
    for make in (_pictures, _films, _sounds):
        yield from make(folder)


def _play(path: Path) -> None:
    with VideoReader(path) as video:
        _ = video.fps, video.duration_s
        for _ in video.frames():
            pass


# ---- motion and datasets


def _motion() -> Motion:
    values = np.random.default_rng(0).uniform(0, 1, (5, ARKIT.size))
    return Motion(values, ARKIT, 30.0, identity=np.zeros(3), observed=np.ones(5, bool))


def _motions(folder: Path) -> Iterator[Seed]:
    save_motion(folder / "a.npz", _motion())
    yield _kept(folder / "a.npz", "npz")
    yield Seed("a.csv", "csv", to_csv(_motion()).encode())


def _manifests(folder: Path) -> Iterator[Seed]:
    clip = Clip("a_01", "a", "train", 5, 25.0, "a.mp4", (0, 0, 32), 0)
    Manifest("arkit", 32, 1.0, (clip,), {"b.mp4": "no face"}).write(folder)
    yield _kept(folder / MANIFEST, "json")


def _landmarks(folder: Path) -> Iterator[Seed]:
    save_landmarks(folder / "a_01.npz", np.ones((5, 4, 3), np.float32))
    yield _kept(folder / "a_01.npz", "npz")


def _read_landmarks(path: Path) -> None:
    folder = path.parent / "dataset"
    (folder / "landmarks").mkdir(parents=True, exist_ok=True)
    clip = Clip("a_01", "a", "train", 5, 25.0, "a.mp4", (0, 0, 32), 0)
    Manifest("arkit", 32, 1.0, (clip,), {}).write(folder)
    (folder / "landmarks" / "a_01.npz").write_bytes(path.read_bytes())
    dataset = Dataset(folder)
    dataset.landmarks(dataset.clips[0])


def _speech(folder: Path) -> Iterator[Seed]:
    from countenance.audio.features import WIDTH

    parts = {
        "log_mel": np.zeros((4, WIDTH), np.float16),
        "loudness": np.ones(4, np.float16),
        "samples": np.zeros(9, np.int16),
    }
    np.savez_compressed(folder / "a.npz", allow_pickle=False, **parts)  # type: ignore[arg-type]
    yield _kept(folder / "a.npz", "npz")


def _read_speech(path: Path) -> None:
    (path.parent / "speech").mkdir(exist_ok=True)
    (path.parent / "speech" / path.name).write_bytes(path.read_bytes())
    load_speech(path.parent, path.stem)


# ---- evaluation and studies


def _protocols(folder: Path) -> Iterator[Seed]:
    case = Case("a", "a.mp4", 0, "b.mp4", 0, 10, (0, 5), truth="b.mp4", group="x")
    Protocol("own", "A test.", 0, (case,), {"a.mp4": "0" * 64, "b.mp4": "1" * 64}, {"c.mp4": "no face"}).save(
        folder
    )
    yield _kept(folder / FILE, "json")


def _key() -> Key:
    clips = {"c-1": Shown("a", "one"), "c-2": Shown("a", "two")}
    return Key("s-0", "pairs", "A study", {"q1": "Which?"}, ("one", "two"), clips, {"i-1": ("c-1", "c-2")})


def _results(folder: Path) -> Iterator[Seed]:
    yield Seed(
        "case.json", "json", json.dumps(asdict(CaseResult("case", folder.name, {"psnr": 30.0}, 5))).encode()
    )


def _tracks(folder: Path) -> Iterator[Seed]:
    save_track(folder / "a.npz", made_up_track(2))
    yield _kept(folder / "a.npz", "npz")


# ---- face models


def _bfm(folder: Path) -> Iterator[Seed]:
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    count, faces = 70, 20
    arrays = {
        "meanshape": rng.normal(size=(1, 3 * count)),
        "idBase": rng.normal(size=(3 * count, 80)),
        "exBase": rng.normal(size=(3 * count, 64)),
        "meantex": rng.uniform(0, 255, (1, 3 * count)),
        "texBase": rng.normal(size=(3 * count, 80)),
        "tri": rng.integers(1, count + 1, (faces, 3)),
        "point_buf": rng.integers(1, faces + 2, (count, 8)),
        "keypoints": rng.permutation(count)[None, :68] + 1,
        "frontmask2_idx": np.arange(1, 11)[:, None],
        "tri_mask2": rng.integers(1, count + 1, (5, 3)),
        "skinmask": np.arange(count)[None] % 2,
    }
    for name, packed in (("a.mat", False), ("packed.mat", True)):
        savemat(
            folder / name, {key: np.float32(array) for key, array in arrays.items()}, do_compression=packed
        )
        yield _kept(folder / name, "mat")


def _standard(folder: Path) -> Iterator[Seed]:
    from scipy.io import savemat

    savemat(folder / "lm.mat", {"lm": np.ones((68, 3))})
    yield _kept(folder / "lm.mat", "mat")


def _ict(folder: Path) -> Iterator[Seed]:
    rng = np.random.default_rng(0)
    np.savez(
        folder / "ict.npz",
        neutral=rng.normal(size=(80, 3)).astype(np.float32),
        identities=rng.normal(size=(2, 80, 3)).astype(np.float16),
        expressions=rng.normal(size=(2, 80, 3)).astype(np.float16),
        expression_names=np.array(["jawOpen", "eyeBlink_L"]),
        quads=np.array([[0, 1, 2, 3], [4, 5, 6, 6], [7, 8, 9, 10]], np.int32),
        material=np.array([0, 1, 0], np.int16),
        material_names=np.array(["M_Face", "M_Teeth"]),
        index_json=np.array(json.dumps({"idx_to_landmark_verts": list(range(68))})),
    )
    yield _kept(folder / "ict.npz", "npz")


@cache
def _flame_parts() -> tuple[dict[str, Any], dict[str, Any]]:
    from scipy import sparse

    rng = np.random.default_rng(0)
    count, faces = 20, 30
    model = {
        "f": rng.integers(0, count, (faces, 3)).astype(np.uint32),
        "v_template": rng.normal(size=(count, 3)),
        "shapedirs": rng.normal(size=(count, 3, 400)),
        "posedirs": rng.normal(size=(count, 3, 36)),
        "J_regressor": sparse.csc_matrix(rng.uniform(size=(5, count))),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
        "weights": rng.dirichlet(np.ones(5), count),
    }
    landmarks = {}
    for name, shape in {"static": (51,), "dynamic": (79, 17), "full": (1, 68)}.items():
        landmarks[f"{name}_lmk_faces_idx"] = rng.integers(0, faces, shape)
        landmarks[f"{name}_lmk_bary_coords"] = rng.dirichlet(np.ones(3), shape).astype(np.float32)
    return model, landmarks


def _flame(folder: Path) -> Iterator[Seed]:
    for protocol in (0, 2, 4):
        yield Seed(f"model{protocol}.pkl", "pickle", pickle.dumps(_flame_parts()[0], protocol))


def _embeddings(folder: Path) -> Iterator[Seed]:
    from safetensors.numpy import save

    yield Seed("lmk.safetensors", "safetensors", save(_flame_parts()[1]))
    made = io.BytesIO()
    np.save(made, np.array(_flame_parts()[1], dtype=object), allow_pickle=True)
    yield Seed("lmk.npy", "pickle", made.getvalue())


def _read_flame(path: Path) -> None:
    from safetensors.numpy import save

    beside = path.with_name("beside.safetensors")
    beside.write_bytes(save(_flame_parts()[1]))
    load_flame(path, beside)


def _read_embedding(path: Path) -> None:
    beside = path.with_name("beside.pkl")
    beside.write_bytes(pickle.dumps(_flame_parts()[0], 2))
    load_flame(beside, path)


# ---- avatars


def _avatars(folder: Path) -> Iterator[Seed]:
    square, motion, crop = np.zeros((16, 16, 3), np.uint8), Motion.neutral(ARKIT, 1, 25), Crop(0, -3, 16)
    PhotoAvatar(square, motion, crop).save(folder / "photo.safetensors")
    yield _kept(folder / "photo.safetensors", "safetensors")
    GeometricAvatar(square, np.ones((478, 3), np.float32), motion, crop).save(
        folder / "geometric.safetensors"
    )
    yield _kept(folder / "geometric.safetensors", "safetensors")


def _read_avatars(path: Path) -> None:
    from countenance.renderers.otavatar.avatar import OTAvatarAvatar

    _any_of(path, (PhotoAvatar.load, GeometricAvatar.load, OTAvatarAvatar.load))


# ---- weights


def _dlib(folder: Path) -> Iterator[Seed]:
    def number(value: int) -> bytes:
        width = (value.bit_length() + 7) // 8
        return bytes([width]) + value.to_bytes(width, "little")

    def layer(kind: bytes, *before: int) -> bytes:
        sizes = b"".join(map(number, (*before, 2, 3, 1, 1, 1)))
        return b"\x01" + bytes([len(kind)]) + kind + sizes + np.arange(3, dtype="<f4").tobytes()

    yield Seed("net.dat", "bytes", b"head" + layer(b"con_4") + layer(b"affine_") + layer(b"fc_2", 3, 1))


def _pickles(folder: Path) -> Iterator[Seed]:
    import torch

    value = {
        "array": np.arange(6.0).reshape(2, 3),
        "more": [1, 2.5, "x", None, (1, 2)],
        "table": OrderedDict(a=b"b"),
    }
    for protocol in (0, 2, 4):
        yield Seed(f"arrays{protocol}.pkl", "pickle", pickle.dumps(value, protocol))
    yield Seed("tensors.pkl", "pickle", pickle.dumps({"t": torch.arange(6.0).reshape(2, 3)}, 2))


def _torch_files(folder: Path) -> Iterator[Seed]:
    import torch

    shared = torch.arange(12.0)
    content = {
        "net": OrderedDict(a=shared[:4].reshape(2, 2), b=shared[4:], c=torch.ones(3).half()),
        "step": 3,
        "rate": [0.1],
    }
    for name, kind, zipped in (("new.pt", "torch", True), ("old.pt", "pickle", False)):
        torch.save(content, folder / name, _use_new_zipfile_serialization=zipped)
        yield _kept(folder / name, kind)


def _published(folder: Path) -> Iterator[Seed]:
    """In the names of PIRenderer's authors, of GDPW's and of OTAvatar's, as far as their readers look first."""
    import torch

    controller = {
        "mapping_3DMM.first.0.weight": torch.zeros(8, 70, 7),
        "mapping_3DMM.encoder0.1.weight": torch.zeros(8, 8, 3),
        "mapping_Refine.0.weight": torch.zeros(8, 8),
        "mapping_Refine.2.weight": torch.zeros(15 * 2, 8),
        "direction.weight": torch.zeros(8, 2),
    }
    encoder = "warpping_net.hourglass.encoder."
    generator = {
        "mapping_net.first.0.weight": torch.zeros(8, 73, 7),
        f"{encoder}input_layer.weight": torch.zeros(4, 3, 7, 7),
        "editing_net.encoder.first.model.0.weight": torch.zeros(4, 6, 7, 7),
        f"{encoder}encoder0.norm_0.mlp_shared.0.weight": torch.zeros(4, 8, 1),
    }
    pyramid = {f"down_layers.x{1 << i}.conv.weight_orig": torch.zeros(16 << i, 3, 3, 3) for i in range(2)}
    pyramid["up_layers.x2_spade.spade1.shared_conv.0.weight_orig"] = torch.zeros(4, 16, 3, 3)
    content = {"net_G_ema": generator, "net_Warp_ema": controller, "generator": pyramid}
    torch.save(content, folder / "published.pt")
    yield _kept(folder / "published.pt", "torch")


def _read_published(path: Path) -> None:
    from countenance.renderers.gdpw import official as gdpw
    from countenance.renderers.otavatar import official as otavatar
    from countenance.renderers.pirenderer import official as pirenderer

    _any_of(
        path, (pirenderer.load_official, gdpw.load_official, otavatar.load_official, otavatar.load_animator)
    )


def _networks(folder: Path) -> Iterator[Seed]:
    from pickled_networks import honest, written

    yield _kept(written(folder, {"G_ema": honest(), "G": honest("import os")}), "pickle")


def _read_network(path: Path) -> None:
    from countenance.generators.eg3d import official as eg3d
    from countenance.generators.stylegan2 import official as stylegan2
    from countenance.weights.network_pickle import read_network

    plain = lambda path: read_network(path, "G_ema").state_dict()  # noqa: E731
    _any_of(path, (plain, stylegan2.load_official, eg3d.load_official))


def _own_weights(folder: Path) -> Iterator[Seed]:
    from countenance.generators.stylegan2.config import debug as stylegan2
    from countenance.generators.stylegan2.synthesis import Generator
    from countenance.renderers.gdpw.config import debug as gdpw
    from countenance.renderers.gdpw.network import GDPW
    from countenance.renderers.otavatar.config import debug as otavatar
    from countenance.renderers.otavatar.network import Animator
    from countenance.renderers.pirenderer.config import debug as pirenderer
    from countenance.renderers.pirenderer.network import PIRenderer
    from countenance.speech.flow.config import debug as flow
    from countenance.speech.flow.talk import TalkFlow
    from countenance.speech.transformer.config import debug as transformer
    from countenance.speech.transformer.network import ContextualTransformer
    from countenance.weights.weight_files import save_weights

    for model, make, config in (
        ("pirenderer", PIRenderer, pirenderer()),
        ("gdpw", GDPW, gdpw()),
        ("otavatar", Animator, otavatar()),
        ("talk-flow", TalkFlow, flow()),
        ("talk-transformer", ContextualTransformer, transformer()),
        ("stylegan2", Generator, stylegan2()),
    ):
        path = folder / f"{model}.safetensors"
        save_weights(path, make(config), model, config, {"crop_scale": 1.1, "steps": 3}, half=True)
        yield _kept(path, "safetensors")


def _read_own_weights(path: Path) -> None:
    from countenance.generators.stylegan2 import official as stylegan2
    from countenance.renderers.catalogue import load_renderer
    from countenance.speech.catalogue import load_speech_driver

    _any_of(path, (lambda p: load_renderer(str(p)), lambda p: load_speech_driver(str(p)), stylegan2.load))


READERS = (
    Reader("kind_of", _all_media, kind_of),
    Reader("read_image", _pictures, read_image),
    Reader("read_image_metadata", _pictures, read_image_metadata),
    Reader("video", _films, _play),
    Reader("read_metadata", _films, read_metadata),
    Reader("gif_comment", _films, read_gif_comment),
    Reader("samples", _sounds, all_samples),
    Reader("motion", _motions, load_motion),
    Reader("manifest", _manifests, lambda path: Manifest.read(path.parent)),
    Reader("landmarks", _landmarks, _read_landmarks),
    Reader("speech", _speech, _read_speech),
    Reader("protocol", _protocols, Protocol.load),
    Reader("key", lambda _: [Seed("study.key.json", "json", _key().to_json().encode())], read_key),
    Reader(
        "answers",
        lambda _: [Seed("a.csv", "csv", sheet(row(_key())).encode())],
        lambda path: read_answers([path], _key()),
    ),
    Reader("result", _results, CaseResult.kept),
    Reader("track", _tracks, load_track),
    Reader("bfm", _bfm, load_bfm),
    Reader("standard_landmarks", _standard, load_standard_landmarks),
    Reader("ict", _ict, load_ict),
    Reader("flame", _flame, _read_flame),
    Reader("embedding", _embeddings, _read_embedding),
    Reader("avatar", _avatars, _read_avatars),
    Reader("dlib", _dlib, read_layers),
    Reader("pickle", _pickles, lambda path: load_pickle(path, {**ARRAYS, **TORCH_TENSORS})),
    Reader("torch", _torch_files, load_torch_file),
    Reader("published", _published, _read_published, whole=False),
    Reader("network_pickle", _networks, _read_network),
    Reader("weights", _own_weights, _read_own_weights),
)
