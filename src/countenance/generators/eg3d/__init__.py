"""EG3D (Chan et al., CVPR 2022): StyleGAN2 makes three feature planes, which are rendered as a volume and enlarged."""
