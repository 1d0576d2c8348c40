"""The whole of an evaluation: protocol, tracks, cases, summary. What is done already is not done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

from countenance.animation import animate
from countenance.atomic import make_folder, replacing
from countenance.errors import BadValue, ProtocolUnreadable, UnknownName
from countenance.evaluation.corpus import Corpus
from countenance.evaluation.engines import EngineName, run_tasks
from countenance.evaluation.environment import environment
from countenance.evaluation.metrics.catalogue import METRICS, Metric, require_scikit_image
from countenance.evaluation.models import Model, asked_motion, source_picture, source_portrait
from countenance.evaluation.protocols.catalogue import PROTOCOLS, build
from countenance.evaluation.protocols.protocol import FILE, Case, Protocol
from countenance.evaluation.protocols.sizes import Sizes
from countenance.evaluation.summary import by_group, counts, estimates, frechet_of
from countenance.evaluation.work import GOES_ON, RESULTS, TRACKS, CaseResult, CaseTask, TrackTask
from countenance.motion.sequence import Motion
from countenance.renderers.catalogue import load_renderer
from countenance.stored.content import Malformed, read_bytes, reason_of
from countenance.stored.json_text import read_json
from countenance.stored.npz import MOST_BYTES
from countenance.trackers.catalogue import tracker_for

SETTINGS, REPORT = "settings.json", "report.json"
Progress = Callable[[Iterable[str], str, int | None], Iterable[str]]
_TIMED_FRAMES, _WARM_UP_FRAMES = 200, 5


@dataclass(frozen=True)
class Settings:
    """What an evaluation is of; a folder holds one.

    Attributes:
        protocol: a name of the catalogue, or the path of a protocol that was saved.
        data: folder of the clips.
        sizes: of the cases, for a protocol that is made.
        seed: likewise.
        limit: the first so many cases only.
        videos: keep what is rendered.

    Raises:
        BadValue: a negative seed, or a limit that leaves no case.
    """

    protocol: str
    data: Path
    sizes: Sizes = field(default_factory=Sizes)
    seed: int = 0
    limit: int | None = None
    videos: bool = True

    def __post_init__(self) -> None:
        """Checks the numbers."""
        if self.seed < 0:
            raise BadValue(f"--seed {self.seed} is no seed; give 0 or more")
        if self.limit is not None and self.limit < 1:
            raise BadValue(f"--limit {self.limit} leaves no case; give 1 or more")

    @property
    def is_saved(self) -> bool:
        """The protocol is a file."""
        return self.protocol.endswith(".json")

    @property
    def asked(self) -> dict[str, Any]:
        """What the cases depend on."""
        sizes = asdict(self.sizes)
        return {"protocol": self.protocol, **sizes, "seed": self.seed, "limit": self.limit}


@dataclass(frozen=True)
class Crew:
    """Who does the work; makes no difference to the results.

    Attributes:
        engine: see :func:`countenance.evaluation.engines.run_tasks`.
        workers: likewise.
        address: likewise.
    """

    engine: EngineName = "local"
    workers: int | None = None
    address: str | None = None


def evaluate(
    models: Sequence[Model], settings: Settings, output: Path, crew: Crew, progress: Progress
) -> dict[str, Any]:
    """Run a protocol on models, or go on with it.

    Args:
        models: what is evaluated; none just makes the protocol.
        settings: what is done.
        output: folder of the report; made if need be.
        crew: who does it.
        progress: wraps names as they are done.

    Returns:
        The content of ``report.json``; see :func:`report_of`.

    Raises:
        CountenanceError: anything that keeps all cases from being done. What goes wrong in one case is part of its
            result.
    """
    _check(models, settings, output)
    output, settings = output.resolve(), replace(settings, data=settings.data.resolve())  # for any worker
    make_folder(output / TRACKS)
    protocol = _protocol(output, settings, crew, progress)
    metrics = _remembered(output)
    for model in models:
        _expect_same(output, model)
    spaces = sorted({"arkit", *(model.space for model in models)})
    clips = sorted(protocol.clips)
    _do([TrackTask(output, settings.data, clip, space) for clip in clips for space in spaces], crew, progress)
    tasks = [
        CaseTask(output, settings.data, case, model, tuple(m.name for m in metrics), settings.videos)
        for model in models
        for case in protocol.cases
    ]
    left = [task for task in tasks if not task.done]
    for _ in progress(run_tasks(left, crew.engine, crew.workers, crew.address), "evaluating", len(left)):
        pass
    for model in models:
        _time(model, protocol, settings.data, output)
    report = report_of(output)
    with replacing(output / REPORT) as temporary:
        temporary.write_text(json.dumps(report, indent=1, allow_nan=False), encoding="utf-8")
    return report


def _check(models: Sequence[Model], settings: Settings, output: Path) -> None:
    """Before anything is written."""
    require_scikit_image()
    if not settings.data.is_dir():
        raise BadValue(f"there is no folder {settings.data}; name the folder of the clips with --data")
    if output.resolve().is_relative_to(settings.data.resolve()):
        raise BadValue(f"{output} lies among the clips, and would add its own videos; choose a -o elsewhere")
    labels = [model.label for model in models]
    if len(set(labels)) < len(labels):
        raise BadValue("two models have the same name; write --model LABEL=PATH")
    if settings.is_saved and settings.limit is not None:
        raise BadValue("a saved protocol is run as a whole; leave --limit out")
    if not settings.is_saved and settings.protocol not in PROTOCOLS:
        raise UnknownName("protocol", settings.protocol, PROTOCOLS)


def report_of(output: Path) -> dict[str, Any]:
    """Everything that was measured in a folder, of all models that were ever evaluated in it.

    Returns:
        protocol, metrics (name -> title, unit, best, definition), left_out (metric -> why), models (label -> summary,
        groups, counts, speed, cases) and environment, of plain types.
    """
    protocol = Protocol.load(output / FILE)
    metrics = _remembered(output)
    groups = {case.name: case.group for case in protocol.cases}
    models: dict[str, Any] = {}
    for folder in sorted((output / RESULTS).iterdir()) if (output / RESULTS).is_dir() else []:
        paths = [folder / f"{case.name}.json" for case in protocol.cases]
        results = [result for path in paths if (result := CaseResult.kept(path))]
        if not results:
            continue
        summary = estimates(results, metrics, protocol.seed)
        for metric in metrics:
            if metric.sets and (distance := frechet_of(metric.name, results, folder)):
                summary[metric.name] = distance
        models[folder.name] = {
            "summary": {name: asdict(estimate) for name, estimate in summary.items()},
            "groups": _groups(by_group(results, groups, metrics, protocol.seed)),
            "counts": counts(results),
            "speed": _speed(folder, results),
            "cases": [asdict(result) for result in results],
        }
    return {
        "protocol": {**asdict(protocol), "digest": protocol.digest},
        "metrics": {
            m.name: {k: getattr(m, k) for k in ("title", "unit", "best", "needs", "definition")}
            for m in metrics
        },
        "left_out": _settings(output)["left_out"],
        "models": models,
        "environment": environment(),
    }


def _do(tasks: Sequence[TrackTask], crew: Crew, progress: Progress) -> None:
    left = [task for task in tasks if not _tracked(task)]
    for _ in progress(run_tasks(left, crew.engine, crew.workers, crew.address), "tracking", len(left)):
        pass


def _tracked(task: TrackTask) -> bool:
    return Corpus(task.data, task.report / TRACKS, tracker_for).is_tracked(task.clip, task.space)


def _protocol(output: Path, settings: Settings, crew: Crew, progress: Progress) -> Protocol:
    """The folder's own, a saved one, or a new one."""
    if (output / SETTINGS).is_file() and (output / FILE).is_file():
        protocol = Protocol.load(output / FILE)
        _expect_asked(output, settings, protocol)
        protocol.check_clips(settings.data)
        return protocol
    if (output / RESULTS).exists():
        raise BadValue(f"{output} holds results without their {FILE} and {SETTINGS}; choose a new -o")
    if settings.is_saved:
        protocol = _adopted(Path(settings.protocol), output, settings.data)
    else:
        if (output / FILE).exists():
            raise BadValue(
                f"{output} holds a protocol from elsewhere; run it with --protocol {output / FILE}, or choose a new -o"
            )
        corpus = Corpus(settings.data, output / TRACKS, tracker_for)
        _do([TrackTask(output, settings.data, clip, "arkit") for clip in corpus.clips()], crew, progress)
        protocol = build(settings.protocol, corpus, output, settings.sizes, settings.seed, settings.limit)
    _remember(output, settings)
    protocol.save(output)
    return protocol


def _expect_asked(output: Path, settings: Settings, protocol: Protocol) -> None:
    """A folder holds one evaluation.

    Raises:
        BadValue: it holds another one.
    """
    if settings.is_saved:
        if Protocol.load(Path(settings.protocol)).digest != protocol.digest:
            raise BadValue(
                f"{output} holds an evaluation with another protocol than {settings.protocol}; choose a new -o"
            )
        return
    for name, value in _settings(output)["asked"].items():
        if settings.asked[name] != value:
            raise BadValue(
                f"{output} holds an evaluation with {name} {value}, and this is with {settings.asked[name]}; "
                "choose a new -o"
            )


def _adopted(path: Path, output: Path, data: Path) -> Protocol:
    """A protocol that somebody else made, with its motion files."""
    protocol = Protocol.load(path)
    protocol.check_clips(data)
    for name in sorted({case.driver for case in protocol.cases if case.drives_with_motion}):
        try:
            content = read_bytes(path.parent / name, MOST_BYTES)
        except (OSError, Malformed) as error:
            reason = "the protocol needs this motion file beside it"
            raise ProtocolUnreadable(path.parent / name, reason, "get it with the protocol") from error
        make_folder((output / name).parent)
        with replacing(output / name) as temporary:
            temporary.write_bytes(content)
    return protocol


def _remember(output: Path, settings: Settings) -> None:
    """The metrics of an evaluation are those that can be measured when it is begun."""
    left_out = {metric.name: why for metric in METRICS if (why := metric.missing())}
    names = [metric.name for metric in METRICS if metric.name not in left_out]
    with replacing(output / SETTINGS) as temporary:
        temporary.write_text(json.dumps({"asked": settings.asked, "metrics": names, "left_out": left_out}))


def _remembered(output: Path) -> tuple[Metric, ...]:
    kept = _settings(output)["metrics"]
    return tuple(metric for metric in METRICS if metric.name in kept)


def _settings(output: Path) -> dict[str, Any]:
    """What :func:`_remember` wrote.

    Raises:
        ProtocolUnreadable: it is damaged.
    """
    try:
        kept: dict[str, Any] = read_json(output / SETTINGS)
        parts = (dict(kept["asked"]), list(kept["metrics"]), dict(kept["left_out"]))
        if all(parts[:2]) and parts[0].keys() == Settings("", Path()).asked.keys():
            return kept
        reason = "it is damaged"
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = f"it is damaged ({reason_of(error)})"
    raise ProtocolUnreadable(output / SETTINGS, reason, "choose a new -o")


def _expect_same(output: Path, model: Model) -> None:
    """A name stands for the same weights as long as the folder lives."""
    folder = output / RESULTS / model.label
    make_folder(folder)
    path = folder / ".model"
    if path.is_file() and path.read_text(encoding="utf-8") != model.fingerprint:
        raise BadValue(
            f"{output} holds results of another '{model.label}'; write --model LABEL=PATH with a new label"
        )
    with replacing(path) as temporary:
        temporary.write_text(model.fingerprint, encoding="utf-8")


def _time(model: Model, protocol: Protocol, data: Path, output: Path) -> None:
    """Frames a second of a renderer on the first case that it can do, with nothing beside it; measured once."""
    path = output / RESULTS / model.label / ".speed"
    if _kept_speed(path) is not None or not model.renders:
        return
    corpus = Corpus(data, output / TRACKS, tracker_for)
    for case in protocol.cases[:3]:
        try:
            speed = _frames_per_s(model, case, corpus, output)
        except GOES_ON:  # which its result says, too
            continue
        with replacing(path) as temporary:
            temporary.write_text(str(speed))
        return


def _frames_per_s(model: Model, case: Case, corpus: Corpus, folder: Path) -> float:
    renderer = load_renderer(model.source, model.device)
    space, scale = renderer.spec.motion_space, renderer.spec.crop_scale
    portrait = source_portrait(case, corpus, source_picture(case, corpus), space, scale)
    motion = asked_motion(case, corpus, folder, portrait, space, scale)
    frames = animate(portrait, _looped(motion, _TIMED_FRAMES), renderer)
    for _ in range(_WARM_UP_FRAMES):
        next(frames)
    start = time.perf_counter()
    count = sum(1 for _ in frames)
    return count / (time.perf_counter() - start)


def _looped(motion: Motion, frames: int) -> Motion:
    """The same movement again and again: trained models compile themselves for long motions only."""
    numbers = [i % len(motion) for i in range(frames)]
    crop = None if motion.crop is None else motion.crop[numbers]
    return replace(motion, values=motion.values[numbers], crop=crop, observed=None)


def _speed(folder: Path, results: Sequence[CaseResult]) -> dict[str, float]:
    speed = {"peak_mb": max(result.peak_mb for result in results)}
    frames_per_s = _kept_speed(folder / ".speed")
    return speed if frames_per_s is None else {**speed, "frames_per_s": frames_per_s}


def _kept_speed(path: Path) -> float | None:
    try:
        value = float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isfinite(value) else None


def _groups(groups: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        name: {metric: asdict(estimate) for metric, estimate in found.items()}
        for name, found in groups.items()
    }
