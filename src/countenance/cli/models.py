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
        from countenance.renderers.catalogue import default_renderer, renderer_specs
        from countenance.speech.catalogue import DEFAULT, speech_specs

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
        return {
            "models": [asdict(spec) for spec in specs],
            "default": default,
            "voice_models": [asdict(spec) for spec in voices],
            "text": "\n".join(lines),
        }
