"""The text ViT of LiT and SigLIP, with big_vision's names."""
