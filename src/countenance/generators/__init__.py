"""Generative networks that renderers build upon: each folder stands alone and reads its authors' weights."""
