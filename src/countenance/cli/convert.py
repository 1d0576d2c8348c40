"""``countenance convert``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro


@dataclass(frozen=True)
class Convert:
    """Turn an authors' checkpoint into a .safetensors file that --model takes. Code in the checkpoint is never run.

    examples:
      countenance convert epoch_00190_iteration_000400000_checkpoint.pt -o pirenderer.safetensors --from pirenderer
      countenance convert checkpoint.pt -o raw.safetensors --from pirenderer --which net_G
      countenance convert PWM_both.pth -o gdpw.safetensors --from gdpw
      countenance convert epoch_00021_iteration_000002000_checkpoint.pt -o otavatar.safetensors --from otavatar
    """

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The authors' file."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Ends in .safetensors."""
    source: Annotated[Literal["pirenderer", "gdpw", "otavatar"], tyro.conf.arg(name="from")]
    """Whose checkpoint it is."""
    which: Literal["net_G_ema", "net_G"] = "net_G_ema"
    """pirenderer and otavatar: the moving average, which the authors use, or the last step's networks."""
    half: bool = False
    """Store fp16: half the size, nearly the same pictures."""
    json: bool = False
    """Print a summary as JSON."""

    def run(self) -> dict[str, Any]:
        """Do it; returns the summary."""
        from countenance.atomic import check_writable, expect_other_than_inputs
        from countenance.errors import BadValue
        from countenance.weights.weight_files import save_weights

        if self.output.suffix != ".safetensors":
            raise BadValue(f"{self.output} does not end in .safetensors; --model knows weights by that")
        check_writable(self.output)
        expect_other_than_inputs(self.output, [self.checkpoint])
        network, space = self._read()
        notes = {"converted_from": self.checkpoint.name, "licence": "see the checkpoint's"}
        if self.source != "gdpw":
            notes["which"] = self.which
        save_weights(self.output, network, self.source, network.config, notes, half=self.half)
        millions = sum(p.numel() for p in network.parameters()) / 1e6
        return {
            "output": str(self.output),
            "model": self.source,
            "motion_space": space,
            "parameters": round(millions * 1e6),
            "text": f"{self.output}: {self.source}, {millions:.1f} million weights in use, driven by {space}",
        }

    def _read(self) -> tuple[Any, str]:
        """The network, and the motion space that drives it."""
        if self.source == "gdpw":
            from countenance.renderers.gdpw.official import load_official as load_gdpw

            return load_gdpw(self.checkpoint), "flame"
        if self.source == "otavatar":
            from countenance.renderers.otavatar.official import load_animator

            animator = load_animator(self.checkpoint, averaged=self.which == "net_G_ema")
            return animator, animator.config.motion_space
        from countenance.renderers.pirenderer.official import load_official

        network = load_official(self.checkpoint, self.which)
        return network, network.config.motion_space
