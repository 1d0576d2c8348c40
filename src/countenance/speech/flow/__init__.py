"""Normalizing flow from speech to motion (PIRenderer, 2021).

Importing this loads nothing else; :mod:`countenance.speech.flow.driver` is the model.
"""

from countenance.speech.driver import SpeechSpec

SPECS = (
    SpeechSpec(
        name="flow-lite",
        summary="another seed, another performance, head and brows included; from log-mel spectra",
        motion_space="arkit",
        licence="MIT",
        paper="Ren et al., PIRenderer: Controllable Portrait Image Generation via Semantic Neural Rendering, ICCV 2021",
        samples=True,
        moves_head=True,
    ),
)
