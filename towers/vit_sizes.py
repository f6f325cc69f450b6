"""The sizes of Vision Transformers, which the text towers of the LiT paper share.

Source: arXiv:2106.04560, table 2; "so400m" is arXiv:2305.13035's.
"""

# name: (width, depth, width of the MLP, heads)
SIZES = {
    "ti": (192, 12, 768, 3),
    "s": (384, 12, 1536, 6),
    "b": (768, 12, 3072, 12),
    "l": (1024, 24, 4096, 16),
    "so400m": (1152, 27, 4304, 16),
    "h": (1280, 32, 5120, 16),
    "g": (1408, 40, 6144, 16),
    "G": (1664, 48, 8192, 16),
}
