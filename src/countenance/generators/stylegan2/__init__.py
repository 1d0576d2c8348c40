"""StyleGAN2 (Karras et al., CVPR 2020) as StyleGAN2-ADA publishes it: mapping, synthesis and discriminator."""
