"""What `lit-embed run` prints."""

import io

import numpy as np
import pytest
import rich.console

from lit_precompute.commands.console import make_console
from lit_precompute.commands.embed.words import describe, say_result, show_download
from lit_precompute.commands.progress import ProgressDisplay
from lit_precompute.pipelines.embed.launch import EmbedProgress
from lit_precompute.schemas import DatasetWriter, Manifest, SourceInfo, captions_table, labels_table
from tests.tune.small_runs import WIDTH, tower_card


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (EmbedProgress(0, 1_603, 0, None), "0/1,603 rows"),
        (EmbedProgress(0, 1, 0, None), "0/1 row"),
        (EmbedProgress(603, 1_603, 0, 50.0), "603/1,603 rows  50 rows/s  20 s left"),
        (EmbedProgress(603, 1_603, 2, 1.0), "603/1,603 rows  1 rows/s  16 min 40 s left  2 failed"),
        (EmbedProgress(8, 16, 2, None, 12), "8/16 rows  2 failed  12 reads retried"),
        (EmbedProgress(8, 16, 0, None, 1), "8/16 rows  1 read retried"),
    ],
)
def test_progress_is_one_line(progress, words):
    assert describe(progress) == words


def test_each_download_has_lines_of_its_own():
    stream = io.StringIO()
    with ProgressDisplay(rich.console.Console(file=stream)) as display:
        for piece in [("a.npz", 1_000_000, 3_000_000), ("a.npz", 3_000_000, 3_000_000), ("b.npz", 5, 0)]:
            show_download(display, *piece)
    assert stream.getvalue() == "fetching a.npz  1.0/3.0 MB\nfetching a.npz  3.0/3.0 MB\nfetching b.npz  0.0 MB\n"


@pytest.mark.parametrize(
    ("texts", "labels", "use"),
    [
        (["a cat", ""], None, "lit-tune --dataset {output} --output RUN"),
        (["a cat", ""], ["cat", "dog"], "lit-tune --dataset {output} --output RUN"),
        (["", ""], ["cat", "dog"], "lit-eval zero-shot --model RUN/model --dataset {output}"),
        (["", ""], None, None),
    ],
)
def test_what_comes_next_is_what_the_dataset_can_be_used_for(tmp_path, capsys, texts, labels, use):
    output = str(tmp_path / "out")
    columns = {"captions": {"texts": [[text] if text else [] for text in texts]}}
    columns |= {"labels": {"label": labels}} if labels else {}
    tables = [captions_table(), *([labels_table()] if labels else [])]
    source = SourceInfo(kind="table", path="none", files=[])
    with DatasetWriter(output, tower=tower_card(), source=source, tables=tables, vector_type="float32") as writer:
        writer.write(keys=["a", "b"], embeddings=np.ones((2, WIDTH), np.float32), columns=columns)
    say_result(make_console(), output, Manifest.read(output), seconds=1.0, num_embedded=2)
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == f"next:  lit-data info {output}" + (f"   |   {use.format(output=output)}" if use else "")
