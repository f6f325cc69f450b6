"""A random view of an image, declared: which part of it is taken, and whether it is mirrored.

Promises: an `Augmentation` is part of a tower's fingerprint, as JSON. The view of a row depends on its key and on the
number of the view alone.

Not here: drawing views (`precompute.images.augmenting`).

Source: github.com/google-research/big_vision, `inception_crop` of pp/ops_image.py and `flip_lr` (2024): their defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """An Inception crop and a flip, drawn anew for each row and view.

    Attributes:
      view: number of the view, from 1.
      area: least and largest share of the image's area that is taken.
      aspect: least and largest width of the crop over its height.
      flip: probability that left and right are exchanged.
    """

    view: int
    area: tuple[float, float] = (0.05, 1.0)
    aspect: tuple[float, float] = (0.75, 1.33)
    flip: float = 0.5

    def __post_init__(self):
        if type(self.view) is not int or self.view < 1:
            raise ValueError(f"augmentation.view must be a number from 1, got {self.view!r}")
        for name in ("area", "aspect"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != 2 or not 0 < values[0] <= values[1]:
                raise ValueError(f"augmentation.{name} must be two numbers, 0 < least <= largest, got {values}")
            object.__setattr__(self, name, values)
        if self.area[1] > 1:
            raise ValueError(f"augmentation.area must be at most 1, got {self.area[1]}")
        object.__setattr__(self, "flip", float(self.flip))
        if not 0 <= self.flip <= 1:
            raise ValueError(f"augmentation.flip must be in [0, 1], got {self.flip}")

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON; `from_json` reads it back to an equal object."""
        return {"view": self.view, "area": list(self.area), "aspect": list(self.aspect), "flip": self.flip}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Augmentation:
        """Returns the augmentation that `to_json` wrote.

        Raises:
          ValueError: a key is unknown or missing, or a value is not allowed.
        """
        names = sorted(field.name for field in dataclasses.fields(cls))
        if sorted(data) != names:
            raise ValueError(f"preprocessing.augmentation: the keys must be {names}, got {sorted(data)}")
        return cls(view=data["view"], area=data["area"], aspect=data["aspect"], flip=data["flip"])
