"""Files as they come: encodings, delimiters, quotes, ragged rows, things that are no tables."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from leads.importing.reading import FileRefused, RawRow, Source, open_source


def source(tmp_path: Path, content: bytes | str, name: str = "file.csv", **how: str) -> Source:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_source(path, **how)


def rows(found: Source) -> list[object]:
    return [row.problem or row.cells for row in found.rows()]


@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
def test_every_usual_encoding_is_read(tmp_path: Path, codec: str) -> None:
    bom = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(codec, b"")
    found = source(tmp_path, bom + "name,city\nJosé Müller,Köln\n".encode(codec))
    assert (found.header, rows(found)) == (("name", "city"), [["José Müller", "Köln"]])


def test_a_guessed_encoding_is_said_and_can_be_chosen(tmp_path: Path) -> None:
    content = "name\nПривет\n".encode("cp1251")
    assert "Windows-1252" in source(tmp_path, content).notes[0]
    assert rows(source(tmp_path, content, encoding="cp1251")) == [["Привет"]]
    with pytest.raises(FileRefused, match="UTF-8"):
        source(tmp_path, content, encoding="utf-8")


def test_a_few_broken_bytes_cost_their_rows_only(tmp_path: Path) -> None:
    found = source(tmp_path, "name\nMüller\nGrün\nKöln\n".encode() + b"bro\xffken\n" + "Äon\n".encode())
    assert found.is_damaged
    assert rows(found) == [["Müller"], ["Grün"], ["Köln"], "the row has bytes that are not UTF-8", ["Äon"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in (["name", "note", "n"], ["a", '"x, y; z"', "1"], ["b", "", "2"]))
    found = source(tmp_path, text)
    assert (found.delimiter, rows(found)) == (delimiter, [["a", "x, y; z", "1"], ["b", "", "2"]])


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert rows(source(tmp_path, "email\na@x.test\nb@x.test\n")) == [["a@x.test"], ["b@x.test"]]


def test_quoted_line_breaks_keep_their_line_numbers(tmp_path: Path) -> None:
    found = source(tmp_path, 'name,note\na,"one\ntwo, ""three"""\n\nb,x\r\nc,y\n')
    assert list(found.rows()) == [
        RawRow(2, ["a", 'one\ntwo, "three"']),
        RawRow(5, ["b", "x"]),
        RawRow(6, ["c", "y"]),
    ]


def test_ragged_rows_are_told_and_the_others_stay(tmp_path: Path) -> None:
    found = source(tmp_path, "a_name,b,c\n1,2,3\n1,2\n1,2,3,4\n1,2,3,,\n,,\n4,5,6\n")
    assert rows(found) == [
        ["1", "2", "3"],
        "2 cells where the header has 3",
        "4 cells where the header has 3",
        ["1", "2", "3"],
        ["4", "5", "6"],
    ]


def test_a_stray_quote_costs_one_row(tmp_path: Path) -> None:
    found = source(tmp_path, 'name,b\n"open,1\nx,2\n"y"z,3\n"fine, really",4\nlast,"5\n')
    assert rows(found) == [
        "a quote is opened and never closed",
        ["x", "2"],
        "a quoted cell goes on after its closing quote",
        ["fine, really", "4"],
        "a quote is opened and never closed",
    ]


def test_a_quote_that_is_never_closed_does_not_swallow_the_file(tmp_path: Path) -> None:
    found = source(tmp_path, 'name,b\n"open,1\n' + "".join(f"row {number},{'x' * 50}\n" for number in range(5_000)))
    kinds = [bool(row.problem) for row in found.rows()]
    assert (kinds.count(True), kinds.count(False)) == (1, 5_000)


def test_three_hundred_columns_are_fine(tmp_path: Path) -> None:
    found = source(tmp_path, ",".join(f"col{n}" for n in range(300)) + "\n" + ",".join("x" * 300) + "\n")
    assert (len(found.header), rows(found)) == (300, [["x"] * 300])


def test_column_names_are_made_unique(tmp_path: Path) -> None:
    assert source(tmp_path, "name,,name, name \na,b,c,d\n").header == ("name", "column 2", "name (2)", "name (3)")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n\n ", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"a,b\n\x00\x00", "NUL"),
        (b"PK\x03\x04rest", "Excel"),
        (b"\x1f\x8brest", "compressed"),
        (bytes(range(1, 9)) * 50, "control characters"),
        (b"ada@x.test,Ada\nbob@x.test,Bob\n", "no header"),
        (b"1,2,3\n4,5,6\n", "no header"),
        (b"2026-01-01,7\n2026-01-02,8\n", "no header"),
        (",".join(f"c{n}" for n in range(1_001)).encode(), "1001 columns"),
        (b"name\n" + b"x" * (10 << 20), "one line"),
    ],
)
def test_what_is_no_table_is_refused_in_words(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(FileRefused, match=reason):
        source(tmp_path, content)


@pytest.mark.parametrize("name", ["book.xlsx", "photo.png", "noextension"])
def test_other_kinds_of_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileRefused, match=r"neither \.csv nor \.jsonl"):
        source(tmp_path, b"name\na\n", name=name)


def test_json_lines(tmp_path: Path) -> None:
    found = source(
        tmp_path,
        '{"a": 1}\n\n[1]\nnot json\n{"a": "\\u0000"}\n{"a": "\\ud800"}\n{"a": NaN}\n{"a": "\\\\u0000 is fine"}\n{"a": "Köln"}\r\n',
        name="file.jsonl",
    )
    assert [(row.line, row.problem.split(":")[0] if row.problem else row.cells) for row in found.rows()] == [
        (1, {"a": 1}),
        (3, "a JSON object is expected on each line"),
        (4, "not JSON"),
        (5, "not JSON"),
        (6, "not JSON"),
        (7, "not JSON"),
        (8, {"a": "\\u0000 is fine"}),
        (9, {"a": "Köln"}),
    ]


@pytest.mark.parametrize(
    ("content", "reason"), [("", "empty"), ('[{"a": 1}]', "one JSON list"), ("name,b\n1,2\n", "no JSON lines")]
)
def test_files_that_are_no_json_lines_are_refused(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(FileRefused, match=reason):
        source(tmp_path, content, name="file.jsonl")


def test_a_deeply_nested_row_is_one_rejected_row(tmp_path: Path) -> None:
    found = source(tmp_path, '{"a": 1}\n' + "[" * 100_000 + "\n" + '{"b": 2}\n', name="file.jsonl")
    assert [bool(row.problem) for row in found.rows()] == [False, True, False]
