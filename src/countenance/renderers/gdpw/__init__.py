"""GDPW (Zhong et al., BMVC 2022): geometry guides a progressive warping of features.

The network and the authors' checkpoints are here; a renderer that draws the guidance is not yet.
"""
