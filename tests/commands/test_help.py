"""The help of every subcommand shows how to use it."""

import pytest

from lit_precompute.__main__ import main


def help_of(monkeypatch, capsys, *command):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.argv", ["lit_precompute", *command, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("embed run", "lit-embed run --source images/captions.tsv"),
        ("embed run", "Other flags go to Apache Beam"),
        ("embed towers", "lit-embed towers '*dino*'\n"),
        ("tune", "lit-tune --dataset emoji --recipe demo"),
        ("tune towers", "lit-tune towers '*siglip2*'\n"),
        ("tune plan", "lit-tune plan --recipe tab5-yfcc-Lu-vit-b32-vit-base-wp\n"),
        ("tune recipes", "lit-tune recipes 'tab5-*'\n"),
        ("tune recipes show", "lit-tune recipes show tab5-yfcc-Lu-vit-b32-vit-base-wp\n"),
        ("tune recipes new", "lit-tune recipes new --from tab5-yfcc-Lu-vit-b32-vit-base-wp mine.toml\n"),
        ("tune export", "lit-tune export runs/first/model --output first-siglip\n"),
        ("eval zero-shot", "lit-eval zero-shot --model"),
        ("eval retrieval", "lit-eval retrieval --model"),
        ("eval show", "lit-eval show --model"),
        ("data deduplicate", "lit-data deduplicate cc12m-vit_l16 --within --threshold 0.98 --output once.selection\n"),
        ("data deduplicate", "Other flags go to Apache Beam"),
        ("data shuffle", "lit-data shuffle cc12m-vit_l16 --output cc12m-shuffled --seed 1\n"),
        ("data info", "lit-data info cc12m-vit_l16\n"),
        ("data verify", "lit-data verify cc12m-vit_l16\n"),
        ("data repair", "lit-data repair cc12m-vit_l16 --embed"),
        ("data list", "lit-data list gs://bucket/embeddings\n"),
        ("data copy", "lit-data copy cc12m-vit_l16 gs://"),
        ("data import", "lit-data import clip-retrieval laion400m --tower"),
        ("data export", "lit-data export clip-retrieval cc12m-vit_l16 --output"),
        ("", "lit-embed, lit-tune, lit-eval or lit-data"),
    ],
)
def test_help_shows_an_example(monkeypatch, capsys, command, example):
    assert example in help_of(monkeypatch, capsys, *command.split())


@pytest.mark.parametrize("command", ["embed", "tune", "eval", "data"])
def test_help_shows_how_to_see_a_traceback(monkeypatch, capsys, command):
    assert "--debug, anywhere on the command line, shows tracebacks" in help_of(monkeypatch, capsys, command)
