"""A peek into a file, whatever its format can do."""

import dataclasses

from lit_precompute.precompute.sources.opening import make_source
from lit_precompute.precompute.sources.peeking import Peek, peek_into
from lit_precompute.precompute.sources.source import ListedFile, SourceError
from lit_precompute.precompute.sources.spec import SourceSpec
from tests.precompute.sources.webdataset.tars import write_tar


def _source(tmp_path, rows=10):
    (tmp_path / "t.csv").write_text("path,text\n" + "".join(f"{number}.png,a\n" for number in range(rows)))
    return make_source(SourceSpec(str(tmp_path / "t.csv")))


@dataclasses.dataclass(frozen=True)
class Looked:
    """A source without `peek`: what a new format has at first."""

    inner: object
    fault: str = ""

    def look(self, file, rows_per_slice):
        if self.fault:
            raise SourceError(self.fault)
        return self.inner.look(file, rows_per_slice)

    def survey(self, looks):
        return self.inner.survey(looks)

    def read(self, part, tables):
        return self.inner.read(part, tables)


@dataclasses.dataclass(frozen=True)
class Named(Looked):
    def fields(self, file: ListedFile):
        return {"path": "0.png"}


def _keys(peek: Peek) -> list[str]:
    return [row.key for row in peek.rows]


def test_a_table_is_read_no_further_than_its_first_rows(tmp_path):
    source = _source(tmp_path)
    (file,) = source.files()
    peek = peek_into(source, file, 3)
    assert (_keys(peek), peek.is_exact, peek.num_rows) == (["0.png", "1.png", "2.png"], False, 11)  # with its header
    peek = peek_into(source, file, 10)
    assert (len(peek.rows), peek.is_exact, peek.num_rows) == (10, True, 10)


def test_any_other_source_is_looked_into(tmp_path):
    source = _source(tmp_path)
    (file,) = source.files()
    peek = peek_into(Looked(source), file, 3)
    assert (_keys(peek), peek.is_exact, peek.num_rows, peek.fields) == (["0.png", "1.png", "2.png"], True, 10, {})
    assert peek_into(Named(source), file, 3).fields == {"path": "0.png"}


def test_fields_are_told_beside_what_is_wrong(tmp_path):
    source = _source(tmp_path)
    (file,) = source.files()
    peek = peek_into(Named(source, "no column"), file, 3)
    assert (peek.rows, peek.fields, peek.fault) == ((), {"path": "0.png"}, "no column")


def test_rows_before_a_fault_are_told(tmp_path):
    source = _source(tmp_path)
    with (tmp_path / "t.csv").open("a") as table:
        table.write("10.png,a,b\n11.png,a\n")
    (file,) = source.files()
    peek = peek_into(source, file, 100)
    assert (len(peek.rows), peek.is_exact) == (10, False)
    assert "line 12: the header has 2 fields, this row 3" in peek.fault


def test_rows_may_be_counted_without_being_read(tmp_path):
    source = _source(tmp_path, rows=500)
    (file,) = source.files()
    peek = peek_into(source, file, 2, 400)
    assert _keys(peek) == ["0.png", "1.png"]
    assert abs((peek.num_rows or 0) - 500) < 20
    peek = peek_into(Looked(source), file, 0)
    assert (peek.rows, peek.num_rows, peek.is_exact) == ((), 500, True)


def test_files_of_which_only_reading_tells_the_rows_are_known_as_such(tmp_path):
    path = write_tar(tmp_path / "a.tar", [(f"{number}.jpg", b"x") for number in range(5)])
    for whole in (True, False):
        source = make_source(SourceSpec(path, whole_tars=whole))
        (file,) = source.files()
        peek = peek_into(source, file, 3)
        assert (len(peek.rows), peek.is_read_whole, peek.is_exact) == (3, whole, False)
        assert peek_into(source, file, 9).is_exact
