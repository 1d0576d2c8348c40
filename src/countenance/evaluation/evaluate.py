"""The whole of an evaluation: protocol, tracks, cases, summary. What is done already is not done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from countenance.animation import animate
from countenance.atomic import make_folder, replacing
from countenance.errors import BadValue, CountenanceError, ProtocolUnreadable
from countenance.evaluation.corpus import Corpus
from countenance.evaluation.engines import EngineName, run_tasks
from countenance.evaluation.environment import environment
from countenance.evaluation.metrics.catalogue import METRICS, Metric
from countenance.evaluation.models import Model, asked_motion, source_picture, source_portrait
from countenance.evaluation.protocols.catalogue import PROTOCOLS, build
from countenance.evaluation.protocols.protocol import FILE, Case, Protocol
from countenance.evaluation.protocols.sizes import Sizes
from countenance.evaluation.summary import by_group, counts, estimates, frechet_of
from countenance.evaluation.work import RESULTS, TRACKS, CaseResult, CaseTask, TrackTask
from countenance.motion.sequence import Motion
from countenance.renderers.catalogue import load_renderer
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
    """

    protocol: str
    data: Path
    sizes: Sizes = field(default_factory=Sizes)
    seed: int = 0
    limit: int | None = None
    videos: bool = True


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
    if not settings.data.is_dir():
        raise BadValue(f"there is no folder {settings.data}; name the folder of the clips with --data")
    labels = [model.label for model in models]
    if len(set(labels)) < len(labels):
        raise BadValue("two models have the same name; write --model LABEL=PATH")
    make_folder(output / TRACKS)
    metrics = _remembered(output, settings)
    protocol = _protocol(output, settings, crew, progress)
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
    left = [task for task in tasks if not task.result.is_file()]
    for _ in progress(run_tasks(left, crew.engine, crew.workers, crew.address), "evaluating", len(left)):
        pass
    for model in models:
        _time(model, protocol, settings.data, output)
    report = report_of(output, settings)
    with replacing(output / REPORT) as temporary:
        temporary.write_text(json.dumps(report, indent=1, allow_nan=False), encoding="utf-8")
    return report


def report_of(output: Path, settings: Settings) -> dict[str, Any]:
    """Everything that was measured in a folder, of all models that were ever evaluated in it.

    Returns:
        protocol, metrics (name -> title, unit, best, definition), left_out (metric -> why), models (label -> summary,
        groups, counts, speed, cases) and environment, of plain types.
    """
    protocol = Protocol.load(output / FILE)
    metrics = _remembered(output, settings)
    groups = {case.name: case.group for case in protocol.cases}
    models: dict[str, Any] = {}
    for folder in sorted((output / RESULTS).iterdir()) if (output / RESULTS).is_dir() else []:
        paths = [folder / f"{case.name}.json" for case in protocol.cases]
        results = [CaseResult.load(path) for path in paths if path.is_file()]
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
        "left_out": json.loads((output / SETTINGS).read_text(encoding="utf-8"))["left_out"],
        "models": models,
        "environment": environment(),
    }


def _do(tasks: Sequence[TrackTask], crew: Crew, progress: Progress) -> None:
    corpus_kept = {task for task in tasks if not _tracked(task)}
    left = [task for task in tasks if task in corpus_kept]
    for _ in progress(run_tasks(left, crew.engine, crew.workers, crew.address), "tracking", len(left)):
        pass


def _tracked(task: TrackTask) -> bool:
    return Corpus(task.data, task.report / TRACKS, tracker_for).is_tracked(task.clip, task.space)


def _protocol(output: Path, settings: Settings, crew: Crew, progress: Progress) -> Protocol:
    """The folder's own, a saved one, or a new one."""
    if (output / FILE).is_file():
        protocol = Protocol.load(output / FILE)
        protocol.check_clips(settings.data)
        return protocol
    if settings.protocol.endswith(".json"):
        return _adopted(Path(settings.protocol), output, settings)
    corpus = Corpus(settings.data, output / TRACKS, tracker_for)
    if settings.protocol in PROTOCOLS:
        tasks = [TrackTask(output, settings.data, clip, "arkit") for clip in corpus.clips()]
        _do(tasks, crew, progress)
    protocol = build(settings.protocol, corpus, output, settings.sizes, settings.seed, settings.limit)
    protocol.save(output)
    return protocol


def _adopted(path: Path, output: Path, settings: Settings) -> Protocol:
    """A protocol that somebody else made, with its motion files."""
    protocol = Protocol.load(path)
    if settings.limit is not None:
        raise BadValue("a saved protocol is run as a whole; leave --limit out")
    protocol.check_clips(settings.data)
    for case in protocol.cases:
        if case.drives_with_motion:
            given = path.parent / case.driver
            if ".." in Path(case.driver).parts or Path(case.driver).is_absolute() or not given.is_file():
                raise ProtocolUnreadable(given, "the protocol needs this motion file beside it")
            make_folder((output / case.driver).parent)
            with replacing(output / case.driver) as temporary:
                temporary.write_bytes(given.read_bytes())
    protocol.save(output)
    return protocol


def _remembered(output: Path, settings: Settings) -> tuple[Metric, ...]:
    """The metrics of this evaluation: those that could be measured when it was begun.

    Raises:
        BadValue: the folder holds another evaluation.
    """
    asked = {
        "protocol": settings.protocol,
        "frames": settings.sizes.frames,
        "compared": settings.sizes.compared,
        "seed": settings.seed,
        "limit": settings.limit,
    }
    path = output / SETTINGS
    if not path.is_file():
        left_out = {metric.name: why for metric in METRICS if (why := metric.missing())}
        names = [metric.name for metric in METRICS if metric.name not in left_out]
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({"asked": asked, "metrics": names, "left_out": left_out}))
    kept = json.loads(path.read_text(encoding="utf-8"))
    for name, value in kept["asked"].items():
        if asked[name] != value:
            raise BadValue(
                f"{output} holds an evaluation with {name} {value}, and this is with {asked[name]}; choose a new -o"
            )
    return tuple(metric for metric in METRICS if metric.name in kept["metrics"])


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
    if path.is_file() or not model.renders:
        return
    corpus = Corpus(data, output / TRACKS, tracker_for)
    for case in protocol.cases[:3]:
        try:
            speed = _frames_per_s(model, case, corpus, output)
        except CountenanceError:  # which its result says, too
            continue
        with replacing(path) as temporary:
            temporary.write_text(str(speed))
        return


def _frames_per_s(model: Model, case: Case, corpus: Corpus, folder: Path) -> float:
    renderer = load_renderer(model.source)
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
    if (folder / ".speed").is_file():
        speed["frames_per_s"] = float((folder / ".speed").read_text())
    return speed


def _groups(groups: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        name: {metric: asdict(estimate) for metric, estimate in found.items()}
        for name, found in groups.items()
    }
