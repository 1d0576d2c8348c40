"""Contextual transformer: sound and past expressions give the next expression (PIR, 2023).

Importing this loads nothing else; :mod:`countenance.speech.transformer.driver` is the model.
"""

from countenance.speech.driver import SpeechSpec

SPECS = (
    SpeechSpec(
        name="transformer-lite",
        summary="says the same thing the same way: one performance for one recording, from its log-mel spectra",
        motion_space="arkit",
        licence="MIT",
        paper="Huang et al., Parametric Implicit Face Representation for Audio-Driven Facial Reenactment, CVPR 2023",
    ),
)
