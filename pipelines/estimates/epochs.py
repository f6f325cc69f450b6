"""After how many epochs precomputing pays for itself: the paper's figure 10, left, as a formula.

Per image, on the same machine, with seconds for the image side (reading, decoding and embedding an image), for the rest
of a training step (the text tower, forward and backward, and the loss), and for reading a stored row:

    precomputing    min(E, 1) V image + E (text + row)
    recomputing     E (image + text)

An image is embedded once, in V views (one, unless views are asked for), and only if an epoch comes to it. Up to one
epoch the ratio is constant and below one, the nearer to one the costlier the tower; beyond it grows with the epochs and
the tower. The paper measured above one for large towers in one epoch as well, because training without the image tower
in memory has room for larger batches: that is left out here. Epochs count over all experiments that share the
embeddings.

Source: arXiv:2111.07991, appendix E.
"""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSeconds:
    """Seconds that one image takes.

    Attributes:
      image: to read, decode and embed it.
      row: to read its stored embedding and texts.
      text: the rest of a training step; 0 counts the image side alone.
      views: how many times it is embedded; an epoch reads one of the rows.
    """

    image: float
    row: float
    text: float = 0.0
    views: int = 1

    def speed_up(self, epochs: float) -> float:
        """Returns how many times as long recomputing takes."""
        assert epochs > 0
        recomputing = epochs * (self.image + self.text)
        return recomputing / (min(epochs, 1.0) * self.views * self.image + epochs * (self.text + self.row))

    def pays_after(self) -> float | None:
        """Returns the epochs from which on precomputing is cheaper; None if reading rows is no faster than embedding.

        The text side costs the same both ways.
        """
        return self.views * self.image / (self.image - self.row) if self.image > self.row else None
