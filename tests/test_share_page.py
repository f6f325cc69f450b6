"""docs/share.md: three people's commands run, on small images, with a fake GCS for the team's bucket."""

import pathlib
import re
import shlex

import pytest

from lit_precompute.commands import data, embed, evaluate, tune
from lit_precompute.schemas import EmbeddingDataset
from tests.pipelines.embed.making import write_source
from tests.towers.tiny_tower import NAME, register_tiny_tower, write_weights

PAGE = pathlib.Path(__file__).parents[1] / "docs/share.md"
MAINS = {"lit-embed": embed.main, "lit-data": data.main, "lit-tune": tune.main, "lit-eval": evaluate.main}
# The page's tower is large, and its defaults are meant for more than 40 images.
REPLACED = {"google/vit-base-patch16-224": NAME}
MORE = {
    "lit-embed": ["--weights=weights.npz", "--rows-per-shard=8", "--batch-size=4"],
    "lit-tune": [
        "--batch-size=8",
        "--num-epochs=1",
        "--text-tower.width=16",
        "--text-tower.depth=1",
        "--optimizer.warmup-steps=1",
    ],
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.standard_promotion,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


def _status(main):
    try:
        main()
    except SystemExit as end:
        return end.code
    return 0


def _blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_three_people_share_a_dataset(gcs_bucket, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    register_tiny_tower()
    write_weights(tmp_path / "weights.npz")
    table = write_source(tmp_path / "images")
    assert table.name == "captions.tsv"
    keys = [line.split("\t")[0] for line in table.read_text().splitlines()[1:]]
    good = [key for key in keys if not key.startswith("bad/")]
    german = {key: f"{'ein Bild' if place % 2 else 'ein Foto'}, {key}" for place, key in enumerate(reversed(good))}
    lines = ["key\ttext", *(f"{key}\t{text}" for key, text in german.items())]
    (tmp_path / "german.tsv").write_text("\n".join(lines) + "\n")
    said = []
    for block in _blocks("bash"):
        for line in block.splitlines():
            name, *arguments = shlex.split(line.replace("gs://team", gcs_bucket))
            arguments = [REPLACED.get(argument, argument) for argument in arguments]
            monkeypatch.setattr("sys.argv", [name, *arguments, *MORE.get(name, [])])
            assert _status(MAINS[name]) == 0, line
            said.append(capsys.readouterr().out)
    listed, verified = said[1], said[2]
    assert "flowers" in listed and NAME in listed
    assert f"sound; {len(good)} rows" in verified
    assert f"{len(good) // 2:,} of {len(good):,} rows" in said[4]
    _carla_reads(tmp_path, german)
    (code,) = _blocks("python")
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out.startswith(f"{len(good)} embeddings; ein ")


def _carla_reads(folder, german):
    """Checks that each key has its embedding and its text, in the copy and in what was exported."""
    import numpy as np
    import pyarrow.parquet as pq

    with EmbeddingDataset.open(folder / "flowers-german") as dataset:
        rows = dataset.rows(0, dataset.num_rows)
    keys = rows["key"].to_pylist()
    assert [texts[0] for texts in rows["texts"].to_pylist()] == [german[key] for key in keys]
    metadata = pq.read_table(folder / "flowers-clip/metadata")
    assert metadata["caption"].to_pylist() == [german[key] for key in keys]
    exported = np.concatenate([np.load(path) for path in sorted((folder / "flowers-clip/img_emb").iterdir())])
    assert np.array_equal(exported, rows["embedding"])
