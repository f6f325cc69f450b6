"""Table 10 of the paper as it is printed: 47 models with their settings and figures.

Source: arXiv:2111.07991, table 10. What is known to be wrong in it is in `errata`.
"""

from __future__ import annotations

import dataclasses

_COLUMNS = """
Fig 1  CLIP   983M  LU  y  vit-B/32     bert-base   WP  AR,Bert   Adam  8e-4  1e-4  63.6  22.1  37.6
Fig 1  CLIP   983M  UU  y  vit-B/32     bert-base   WP  AR,Bert   Adam  3e-4  1e-5  53.3  23.4  37.6
Fig 1  CLIP   983M  uu  y  vit-B/32     bert-base   WP  -,        Adam  8e-4  1e-4  42.1  17.9  31.1
Tab 1  Ours   18.2B Lu  n  vit-g/14*    vit-giant   SP  JFT,-     AdaF  1e-3  0     84.5  37.4  54.5
Tab 1  Mixed  983M  LU  y  vit-L/16     bert-large  WP  AR,Bert   AdaF  8e-4  1e-4  75.7  31.2  48.5
Tab 2  Ours   901M  Lu  n  vit-B/32     vit-base    SP  JFT,-     AdaF  1e-3  0     70.1  28.6  43.8
Tab 2  Ours   901M  Uu  y  vit-B/32     vit-base    SP  JFT,-     AdaF  1e-3  0     57.2  27.0  40.1
Tab 2  Ours   901M  uu  y  vit-B/32     vit-base    SP  -,        AdaF  1e-3  0     50.6  24.1  38.9
Tab 3  CLIP   246M  LU  y  dino-B/16    bert-base   WP  vit,Bert  Adam  8e-4  1e-4  55.5  18.2  33.4
Tab 3  CLIP   246M  LU  y  mocov3-B/16  bert-base   WP  vit,Bert  Adam  8e-4  1e-4  55.4  17.6  33.5
Tab 4  CC12M  200M  LU  n  vit-B/32     bert-base   WP  AR,Bert   Adam  1e-3  1e-4  60.7  25.0  41.3
Tab 4  CC12M  200M  LU  n  bit-50x1     bert-base   WP  M,Bert    Adam  1e-3  1e-4  55.2  23.9  37.3
Tab 4  CC12M  200M  LU  n  mixer-B/32   bert-base   WP  AR,Bert   Adam  1e-3  1e-4  57.1  22.9  37.5
Tab 5  YFCC   901M  LU  y  vit-B/32     t5-base     SP  AR,mt5    Adam  8e-4  1e-4  59.3  17.4  28.7
Tab 5  YFCC   901M  Lu  y  vit-B/32     vit-base    WP  AR,-      Adam  8e-4  1e-4  56.4  17.3  28.2
Tab 5  YFCC   901M  LU  y  vit-B/32     bert-base   WP  AR,Bert   Adam  8e-4  1e-4  59.5  20.7  36.3
Tab 5  YFCC   901M  Lu  y  vit-B/32     t5-base     SP  AR,-      Adam  8e-4  1e-4  58.1  16.4  28.3
Tab 5  YFCC   901M  Lu  y  vit-B/32     bert-base   WP  AR,-      Adam  8e-4  1e-4  58.8  20.0  35.2
Tab 5  YFCC   901M  Lu  y  vit-B/32     vit-base    SP  AR,-      Adam  1e-3  1e-4  57.2  16.9  29.7
Tab 5  YFCC   901M  LU  y  vit-B/32     t5-base     SP  AR,t5     Adam  1e-3  1e-4  59.2  18.4  31.0
Tab 5  YFCC   901M  Lu  y  vit-B/32     t5-base     SP  AR,-      Adam  1e-3  1e-4  57.8  17.2  29.4
Fig 5  CC12M  200M  LU  n  vit-B/16     bert-large  WP  AR,Bert   AdaF  1e-3  1e-4  66.9  28.3  44.8
Fig 5  CC12M  200M  LU  n  vit-L/16     bert-large  WP  AR,Bert   AdaF  1e-3  1e-4  67.6  26.9  42.6
Fig 5  CC12M  200M  LU  n  vit-B/16     bert-base   WP  AR,Bert   Adam  1e-3  1e-4  66.1  28.2  45.3
Fig 5  CC12M  200M  LU  n  vit-L/16     bert-base   WP  AR,Bert   Adam  1e-3  1e-4  66.8  26.6  44.3
Fig 5  CC12M  200M  LU  n  vit-B/32     bert-large  WP  AR,Bert   AdaF  1e-3  1e-4  61.7  25.4  41.4
Fig 5  CC12M  200M  LU  n  vit-B/32     bert-base   WP  AR,Bert   Adam  1e-3  1e-4  61.1  24.9  40.9
Fig 5  Ours   901M  Lu  n  vit-g/14     vit-huge    SP  JFT,-     AdaF  1e-3  0     81.8  33.1  48.9
Fig 5  Ours   901M  Lu  n  vit-g/14     vit-large   SP  JFT,-     AdaF  1e-3  0     81.2  32.9  48.5
Fig 5  Ours   901M  Lu  n  vit-L/16     vit-huge    SP  JFT,-     AdaF  1e-3  0     80.8  35.6  51.2
Fig 5  Ours   901M  Lu  n  vit-L/16     vit-large   SP  JFT,-     AdaF  1e-3  0     80.3  34.8  49.8
Fig 5  Ours   901M  Lu  n  vit-g/14     vit-base    SP  JFT,-     AdaF  1e-3  0     79.5  30.7  45.9
Fig 5  Ours   901M  Lu  n  vit-B/16     vit-huge    SP  JFT,-     AdaF  1e-3  0     77.1  34.5  49.7
Fig 5  Ours   901M  Lu  n  vit-L/16     vit-base    SP  JFT,-     AdaF  1e-3  0     78.5  33.5  48.6
Fig 5  Ours   901M  Lu  n  vit-B/16     vit-large   SP  JFT,-     AdaF  1e-3  0     76.8  33.6  49.4
Fig 5  Ours   901M  Lu  n  vit-B/16     vit-base    SP  JFT,-     AdaF  1e-3  0     75.2  31.9  46.8
Fig 5  Ours   901M  Lu  n  vit-B/32     vit-huge    SP  JFT,-     AdaF  1e-3  0     72.2  31.2  46.4
Fig 5  Ours   901M  Lu  n  vit-B/32     vit-large   SP  JFT,-     AdaF  1e-3  0     71.6  30.7  45.6
Fig 5  Ours   901M  Lu  n  vit-B/32     vit-base    SP  JFT,-     AdaF  1e-3  0     70.0  29.2  43.8
Fig 6  CLIP   983M  Lu  y  vit-B/32     mt5-base    SP  AR,-      Adam  1e-3  1e-4  58.3  12.3  20.4
Fig 6  YFCC   983M  Lu  y  vit-B/32     mt5-base    SP  AR,-      Adam  1e-3  1e-4  59.8  17.6  31.2
Fig 6  CLIP   983M  Lu  y  vit-B/32     t5-base     SP  AR,-      Adam  1e-3  1e-4  59.8  14.5  22.3
Fig 6  YFCC   983M  Lu  y  vit-B/32     t5-base     SP  AR,-      Adam  1e-3  1e-4  62.4  19.6  34.3
Fig 6  CLIP   983M  LU  y  vit-B/32     mt5-base    SP  AR,mt5    Adam  1e-3  1e-4  59.1  13.6  21.9
Fig 6  YFCC   983M  LU  y  vit-B/32     mt5-base    SP  AR,mt5    Adam  1e-3  1e-4  62.5  19.3  34.2
Fig 6  CLIP   983M  LU  y  vit-B/32     t5-base     SP  AR,t5     Adam  1e-3  1e-4  60.1  15.9  25.7
Fig 6  YFCC   983M  LU  y  vit-B/32     t5-base     SP  AR,t5     Adam  1e-3  1e-4  62.3  20.1  34.5
"""
_UNITS = {"M": 1_000_000, "B": 1_000_000_000}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One model of the table.

    Attributes:
      ref: the figure or table that mentions it, such as `Tab 5`.
      dataset: CLIP (YFCC100m-CLIP), YFCC (YFCC100m), CC12M, Mixed, or Ours (the authors' own).
      num_images: images seen while tuning.
      setting: the paper's two letters: image tower, text tower.
      has_head: whether a linear head was added to the image tower.
      image: image tower.
      text: text tower.
      tokenizer: WP (WordPiece) or SP (SentencePiece).
      image_start: what the image tower starts from: AR (AugReg), JFT, M (BiT-M), vit; `-` for a random start.
      text_start: what the text tower starts from; `-` for a random start.
      optimizer: Adam or AdaF (Adafactor).
      learning_rate: the base learning rate.
      weight_decay: decoupled weight decay.
      imagenet: zero-shot top-1 accuracy on ImageNet, in percent.
      text_to_image: recall at 1 on MSCOCO's test set, in percent.
      image_to_text: the same, the other way.
    """

    ref: str
    dataset: str
    num_images: int
    setting: str
    has_head: bool
    image: str
    text: str
    tokenizer: str
    image_start: str
    text_start: str
    optimizer: str
    learning_rate: float
    weight_decay: float
    imagenet: float
    text_to_image: float
    image_to_text: float

    @property
    def trains_image_tower(self) -> bool:
        """Whether the image tower is not locked."""
        return not self.setting.startswith("L")


def _row(line: str) -> Row:
    kind, number, dataset, images, setting, head, image, text, tokenizer, starts, optimizer, *numbers = line.split()
    image_start, _, text_start = starts.partition(",")
    learning_rate, weight_decay, imagenet, text_to_image, image_to_text = map(float, numbers)
    return Row(
        ref=f"{kind} {number}",
        dataset=dataset,
        num_images=round(float(images[:-1]) * _UNITS[images[-1]]),
        setting=setting,
        has_head=head == "y",
        image=image,
        text=text,
        tokenizer=tokenizer,
        image_start=image_start,
        text_start=text_start or "-",
        optimizer=optimizer,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        imagenet=imagenet,
        text_to_image=text_to_image,
        image_to_text=image_to_text,
    )


PRINTED = tuple(_row(line) for line in _COLUMNS.strip().splitlines())
