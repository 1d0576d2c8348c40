"""``countenance models``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Models:
    """List the renderers and the models that turn speech into motion, with motion space and licence."""

    json: bool = False
    """Print as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.renderers.catalogue import broken_renderers, default_renderer, renderer_specs
        from countenance.speech.catalogue import DEFAULT, broken_voices, speech_specs
        from countenance.trackers.catalogue import broken_trackers, tracker_names

        specs, default = list(renderer_specs()), default_renderer()
        lines = [
            f"{spec.name}{' (default)' if spec.name == default else ''}: {spec.summary}; "
            f"motion space {spec.motion_space}; licence {spec.licence}"
            for spec in specs
        ]
        voices = list(speech_specs())
        lines.append("for talk --voice-model:")
        lines += [
            f"{spec.name}{' (default)' if spec.name == DEFAULT else ''}: {spec.summary}; "
            f"motion space {spec.motion_space}; licence {spec.licence}"
            for spec in voices
        ]
        lines.append("trackers: " + ", ".join(tracker_names()))
        unusable = [*broken_renderers(), *broken_trackers(), *broken_voices()]
        lines += [f"broken: {plugin.reason}" for plugin in unusable]
        return {
            "models": [asdict(spec) for spec in specs],
            "default": default,
            "voice_models": [asdict(spec) for spec in voices],
            "trackers": list(tracker_names()),
            "broken": [asdict(plugin) for plugin in unusable],
            "text": "\n".join(lines),
        }
