"""The openclipart benchmark: texts of SVGs, hostile ones too; the split; and findings of figures that are made up."""

import pytest

from benchmarks.openclipart.data import Drawing, split
from benchmarks.openclipart.findings import findings, mean_of, plot, table
from benchmarks.openclipart.metadata import Texts, read_texts
from benchmarks.openclipart.runs import COMBINATIONS, MEASURES, SIGNALS, TOKENS, Reached, recipe

SVG = """<?xml version="1.0"?>
{doctype}
<svg xmlns="http://www.w3.org/2000/svg"><metadata>
<rdf:RDF xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<cc:Work rdf:about=""><dc:title>{title}</dc:title><dc:description>A
 nice &amp;uuml;ber picture</dc:description>
<dc:subject><rdf:Bag><rdf:li>fruit</rdf:li><rdf:li>hash</rdf:li><rdf:li>HASH(0x861a740)</rdf:li><rdf:li/>
<rdf:li>0x8863bcc</rdf:li><rdf:li>red apple</rdf:li><rdf:li>fruit</rdf:li></rdf:Bag></dc:subject>
<dc:creator><cc:Agent><dc:title>somebody</dc:title></cc:Agent></dc:creator></cc:Work>
<cc:Work><dc:title>another work</dc:title></cc:Work>
</rdf:RDF></metadata><title>drawn</title></svg>"""


def svg(title="An apple", doctype=""):
    return SVG.format(title=title, doctype=doctype).encode()


def test_texts_are_those_of_the_first_work_alone():
    assert read_texts(svg()) == Texts("An apple", "A nice über picture", ["fruit", "red apple"])


def test_entities_of_plain_text_are_read():
    assert read_texts(svg("&name;", '<!DOCTYPE svg [<!ENTITY name "An apple">]>')).title == "An apple"


@pytest.mark.parametrize(
    "entities",
    [
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">',
        f'<!ENTITY a "{"a" * 2_000}">',
        '<!ENTITY % a "aaa">',
    ],
    ids=["nested", "long", "parameter"],
)
def test_entities_that_grow_are_refused(entities):
    with pytest.raises(ValueError, match="refers to others, or is too long"):
        read_texts(svg("&a;", f"<!DOCTYPE svg [{entities}]>"))


def test_no_other_file_is_read(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    doctype = f'<!DOCTYPE svg [<!ENTITY a SYSTEM "{secret.as_uri()}">]>'
    assert "secret" not in read_texts(svg("An &a;apple", doctype)).title


def test_what_is_not_xml_is_refused():
    with pytest.raises(ValueError, match="not XML"):
        read_texts(b"<svg><unclosed></svg>")


def test_held_out_drawings_are_complete_and_no_others_are_lost(monkeypatch):
    monkeypatch.setattr("benchmarks.openclipart.data.NUM_HELD_OUT", 4)
    texts = [Texts("a title" if number % 2 else "", "", ["a tag"]) for number in range(20)]
    drawings = [Drawing(f"{number}.png", "food", each) for number, each in enumerate(texts)]
    held_out, rest = split(drawings)
    assert len(held_out) == 4 and all(row.texts.title and row.texts.tags for row in held_out)
    assert sorted(row.file for row in [*held_out, *rest]) == sorted(row.file for row in drawings)


def figures(setting, max_tokens, seed):
    """Joint is better by 10 than the other ways, and 32 tokens by 0.1; signals are 5 apart, in one order."""
    base = 50.0 + 5 * [*SIGNALS, *COMBINATIONS].index(setting) + 20 * (setting == "joint")
    return dict.fromkeys(MEASURES, base + 0.1 * (max_tokens == TOKENS[1]) + 0.2 * seed)


REACHED = [
    Reached(setting, max_tokens, seed, figures(setting, max_tokens, seed))
    for setting in (*SIGNALS, *COMBINATIONS)
    for max_tokens in TOKENS
    for seed in (0, 1, 2)
]


def test_findings_say_what_holds():
    short, winner, joint = findings(REACHED)
    assert "small' holds: +0.1 points on average" in short
    assert "winner among the signals' does not hold: tags in zero-shot" in winner
    assert "sampling one' holds" in joint
    worse = [
        Reached(each.setting, each.max_tokens, each.seed, dict.fromkeys(MEASURES, 1.0))
        if each.setting == "joint"
        else each
        for each in REACHED
    ]
    assert "holds in 0 of 5 measures" in findings(worse)[2]


def test_means_are_over_seeds_and_the_table_has_all():
    assert str(mean_of(REACHED, "title", 16, MEASURES[0])) == "50.2 +- 0.5"
    assert mean_of(REACHED, "title", 64, MEASURES[0]) is None
    assert table(REACHED).count("\n") == 1 + len(TOKENS) * 6


def test_the_figure_is_drawn(tmp_path):
    plot(REACHED, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("setting", [*SIGNALS, *COMBINATIONS])
def test_every_setting_is_a_recipe(setting):
    text = recipe(setting).text
    assert text.field_names == ((setting,) if setting in SIGNALS else SIGNALS)
    assert (text.num_columns == 3) == (setting == "joint")
