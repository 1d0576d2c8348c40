"""Models compared on clips in one call, as Python users and the command line ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from countenance.errors import BadValue, expect_type
from countenance.evaluation.evaluate import Crew, Progress, Settings
from countenance.evaluation.evaluate import evaluate as run_protocol
from countenance.evaluation.models import Model
from countenance.evaluation.protocols.sizes import Sizes
from countenance.evaluation.report.files import write_report
from countenance.evaluation.summary import first_failure
from countenance.progress import silent
from countenance.ranges import COUNT, SEED


def evaluate(
    models: Sequence[str],
    data: Path | str,
    output: Path | str,
    *,
    protocol: str = "same-identity",
    frames: int = 100,
    compared: int = 10,
    limit: int | None = None,
    seed: int = 0,
    videos: bool = True,
    device: str = "auto",
    crew: Crew | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure models on clips by a published protocol, and write a report: JSON, CSV and one HTML page.

    Call it again with the same ``output`` and it goes on where it stopped, or adds models to the report.

    Args:
        models: names, .safetensors files, or folders of another program's results; or LABEL=PATH; "repeated" is the
            source, never moved. An empty list just makes the protocol.
        data: folder of clips that show one person each; PERSON_NUMBER.mp4 says who is the same.
        output: folder of the report.
        protocol: a name (see `countenance evaluate --help`), or the path of a protocol.json.
        frames: most frames of a clip that are rendered.
        compared: most frames of a clip at which pictures are compared.
        limit: the first so many cases only.
        seed: of pairs, drawn motions and intervals.
        videos: keep what is rendered.
        device: where renderers compute: "auto", "cpu", "cuda" or "mps".
        crew: processes, or a Ray cluster; one process a core if None.
        progress: shows how far it is.

    Returns:
        The content of ``report.json``, with ``page``, the path of what people read.

    Raises:
        BadValue: numbers that can't be, or every case of a model failed.
        CountenanceError: anything else that keeps all cases from being done.
    """
    expect_type(models, (list, tuple), "what is evaluated", "give a list of models, such as ['geometric']")
    for text in models:
        expect_type(text, str, "a model", "give names, such as 'geometric'")
    for allowed, given, what in (
        (SEED, seed, "the seed"),
        (COUNT, limit, "the limit"),
        (COUNT, frames, "frames"),
    ):
        if given is not None:
            allowed.check(given, what)
    COUNT.check(compared, "compared")
    chosen = [Model.parsed(text, device) for text in models]
    settings = Settings(str(protocol), Path(data), Sizes(frames, compared), seed, limit, videos)
    report = run_protocol(chosen, settings, Path(output), crew or Crew(), progress)
    if not report["models"]:
        return {**report, "page": str(Path(output) / "protocol.json")}
    page = write_report(Path(output), report, Path(data))
    if failure := first_failure(report, [model.label for model in chosen]):
        raise BadValue(f"{failure}; see {page}")
    return {**report, "page": str(page)}
