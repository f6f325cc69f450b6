"""Pages of images and texts to look at."""
