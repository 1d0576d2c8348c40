"""OTAvatar (Ma et al., CVPR 2023): a motion controller steers a tri-plane generator."""
