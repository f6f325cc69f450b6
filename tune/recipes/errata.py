"""What is wrong, or in doubt, in the paper's Table 10, with the evidence; and the rows as the recipes follow them.

Source: arXiv:2111.07991; the rest as each entry says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lit_precompute.tune.recipes.table10 import PRINTED, Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Erratum:
    """One disagreement between the table and the rest of the paper.

    Attributes:
      rows: what the rows in question have in common, by field.
      field: of the row.
      printed: what the table says.
      followed: what the recipes follow; the printed value where the evidence does not decide.
      evidence: why.
    """

    rows: Mapping[str, Any]
    field: str
    printed: str
    followed: str
    evidence: str

    def concerns(self, row: Row) -> bool:
        """Returns whether it is about this printed row."""
        return all(getattr(row, name) == value for name, value in self.rows.items())


ERRATA = (
    Erratum(
        rows={"ref": "Tab 5", "text": "t5-base", "text_start": "mt5"},
        field="text",
        printed="t5-base",
        followed="mt5-base",
        evidence="it starts from mt5, and its figures are those of mT5 with pre-training in Table 5: 58.1 + 1.2, "
        "I->T 28.3 + 0.4, T->I 16.4 + 1.0",
    ),
    Erratum(
        rows={"ref": "Tab 5", "text": "t5-base", "text_start": "-", "imagenet": 58.1},
        field="text",
        printed="t5-base",
        followed="mt5-base",
        evidence="its figures are mT5's in Table 5 (58.1, I->T 28.3, T->I 16.4); T5's are those of the other such row "
        "(57.8, 29.4, 17.2)",
    ),
    Erratum(
        rows={"ref": "Tab 5"},
        field="dataset",
        printed="YFCC",
        followed="CLIP",
        evidence="section 5.5 and Table 5 tune on YFCC100M-CLIP, and Figure 6's rows call that CLIP",
    ),
    Erratum(
        rows={"dataset": "Mixed"},
        field="dataset",
        printed="CC12M and YFCC100m (caption)",
        followed="CC12M and YFCC100m-CLIP",
        evidence="section 5.1: the union of YFCC100m-CLIP and CC12M",
    ),
    Erratum(
        rows={"dataset": "Mixed"},
        field="has_head",
        printed="y",
        followed="y",
        evidence="in doubt: the public LiT-L16L, which has the same three figures, has no image head "
        "(vision_transformer, models_lit.py: out_dim (None, 1024)); --image-side.head-width None leaves it out",
    ),
    Erratum(
        rows={"image": "mixer-B/32"},
        field="image_start",
        printed="AR",
        followed="AR",
        evidence="in doubt: AugReg has no Mixers; section 5.4 says that all three families were pre-trained on "
        "ImageNet-21k",
    ),
    Erratum(
        rows={"ref": "Fig 5", "dataset": "Ours", "image": "vit-B/32", "text": "vit-base"},
        field="imagenet",
        printed="70.0",
        followed="70.0",
        evidence="section 5.6 says 74.5; Tables 2, 6 and 9 have 69.9 to 70.2 for the same setting",
    ),
    Erratum(
        rows={"ref": "Fig 5", "dataset": "Ours", "image": "vit-g/14", "text": "vit-huge"},
        field="imagenet",
        printed="81.8",
        followed="81.8",
        evidence="section 5.6 says 81.2, which is the figure of the row with vit-large",
    ),
    *(
        Erratum(
            rows={"ref": "Fig 6", "dataset": dataset, "setting": setting, "text": text},
            field="imagenet",
            printed=printed,
            followed=printed,
            evidence=f"Table 7 has {others} (ImageNet, T->I, I->T) for this setting: perhaps other runs",
        )
        for dataset, setting, text, printed, others in (
            ("CLIP", "Lu", "t5-base", "59.8", "58.9, 14.5, 22.6"),
            ("CLIP", "LU", "t5-base", "60.1", "58.5, 17.2, 29.1"),
            ("CLIP", "Lu", "mt5-base", "58.3", "58.7, 14.4, 23.1"),
            ("YFCC", "Lu", "mt5-base", "59.8", "62.1, 18.5, 32.6"),
            ("CLIP", "LU", "mt5-base", "59.1", "58.4, 15.6, 25.1"),
            ("YFCC", "LU", "mt5-base", "62.5", "62.6, 18.9, 33.6"),
        )
    ),
)


def errata_of(row: Row) -> tuple[Erratum, ...]:
    """Returns what is known to be wrong or in doubt about a printed row."""
    return tuple(erratum for erratum in ERRATA if erratum.concerns(row))


def followed(row: Row) -> Row:
    """Returns a printed row as the recipes follow it; of Mixed, the dataset keeps its name."""
    changes = {
        erratum.field: erratum.followed
        for erratum in errata_of(row)
        if erratum.followed != erratum.printed and getattr(row, erratum.field) == erratum.printed
    }
    return dataclasses.replace(row, **changes)


def name_of(row: Row) -> str:
    """Returns the name of a printed row's recipe: `<ref>-<dataset>-<setting>-<image>-<text>-<tokenizer>`.

    All are the table's words but for the text tower, which is the one that is followed: two pairs of rows of Table 5
    would share a name otherwise. `*` is g/14's resolution, 288.
    """
    image = row.image.replace("/", "").replace("*", "-288").lower()
    words = (row.ref.replace(" ", "").lower(), row.dataset.lower(), row.setting, image, followed(row).text)
    return "-".join((*words, row.tokenizer.lower()))


NAMES = tuple(name_of(row) for row in PRINTED)
