"""Interlaced films: whole pictures of their two fields, by FFmpeg's bwdif."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.filter import Graph


def deinterlaced(frames: Iterator[Any], time_base: Any) -> Iterator[Any]:
    """The same frames, as many and at the same times; those that say that they are interlaced, without combs.

    Args:
        frames: decoded, in order.
        time_base: of their stamps.

    Raises:
        av.FFmpegError: the filter refuses a frame.
    """
    graph: Any = None
    kind: object = None
    for frame in frames:
        if graph is not None and _kind(frame) != kind:
            yield from _pushed(graph, None)
            graph = None
        if graph is None:
            if not frame.interlaced_frame:
                yield frame
                continue
            graph, kind = _graph(frame, time_base), _kind(frame)
        yield from _pushed(graph, frame)
    if graph is not None:
        yield from _pushed(graph, None)


def _kind(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _graph(frame: Any, time_base: Any) -> Any:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=time_base
    )
    graph.link_nodes(
        source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    ).configure()
    return graph


def _pushed(graph: Any, frame: Any | None) -> Iterator[Any]:
    graph.push(frame)
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
