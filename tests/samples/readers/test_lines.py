from __future__ import annotations

import gzip
import json

import pytest

from xlprobe.errors import DataError
from xlprobe.samples.readers.lines import field_of, json_lines, text_lines


@pytest.mark.parametrize("zipped", [False, True])
def test_only_newlines_end_lines(tmp_path, zipped):
    # The name does not say that it is an archive; its first bytes do.
    path = tmp_path / "a.txt"
    data = "\ufeffone\r\ntwo\u2028still two\x85and\x0b\x0cmore\n\n \t\nfive".encode()
    path.write_bytes(gzip.compress(data) if zipped else data)
    assert list(text_lines(path)) == [(1, "one"), (2, "two\u2028still two\x85and\x0b\x0cmore"), (5, "five")]
    assert [number for number, _ in text_lines(path, blank=True)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("data", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_an_error(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DataError, match="a is empty"):
        list(text_lines(tmp_path / "a"))


def test_the_line_that_is_not_utf8_is_named(tmp_path):
    # Far beyond any read-ahead, so that only a line-wise decoder knows the number.
    (tmp_path / "a").write_bytes(b"good line\n" * 5000 + b"caf\xe9\n" + b"good line\n" * 5000)
    lines = text_lines(tmp_path / "a")
    assert [next(lines)[0] for _ in range(5000)][-1] == 5000
    with pytest.raises(DataError, match=r"line 5001: is not UTF-8 .* at byte 3"):
        next(lines)


def test_reading_is_lazy(tmp_path):
    (tmp_path / "a").write_bytes(b'{"a": 1}\n' + b"x" * 10)
    rows = json_lines(tmp_path / "a")
    assert next(rows)[1] == {"a": 1}
    with pytest.raises(DataError, match="a, line 2: is not JSON"):
        next(rows)


def test_a_huge_line_is_one_line(tmp_path):
    text = "x" * 5_000_000
    (tmp_path / "a").write_text(json.dumps({"a": text}) + "\n", encoding="utf-8")
    ((where, row),) = json_lines(tmp_path / "a")
    assert row == {"a": text}
    assert where.endswith("a, line 1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": 1', "is not JSON"),
        ('{"a": NaN}', r"is not JSON \(NaN is no JSON number"),
        ('{"a": -Infinity}', r"is not JSON \(-Infinity is no JSON number"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "got a list; expected a JSON object"),
        ("null", "got null; expected a JSON object"),
        ('"text"', "got a text; expected a JSON object"),
    ],
)
def test_what_is_not_an_object_is_an_error(tmp_path, line, message):
    (tmp_path / "a").write_text('{"a": 1}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"a, line 2: {message}"):
        list(json_lines(tmp_path / "a"))


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_archive_is_named(tmp_path, damage):
    path = tmp_path / "a.jsonl.gz"
    lines = [json.dumps({"n": n, "noise": str(hash(str(n)))}) for n in range(3_000)]
    whole = bytearray(gzip.compress("\n".join(lines).encode()))
    if damage == "cut":
        del whole[len(whole) // 2 :]
    else:
        whole[len(whole) // 2 : len(whole) // 2 + 50] = bytes(50)
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"a\.jsonl\.gz, (after )?line \d+: (cannot be read|is not)"):
        list(json_lines(path))


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*none: No such file"):
        list(text_lines(tmp_path / "none"))
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory"):
        list(text_lines(tmp_path))


def test_fields_are_checked():
    assert field_of({"a": 1}, "a", int, "here") == 1
    assert field_of({"a": True}, "a", (bool, str), "here") is True
    for row, kind, message in (
        ({"b": 1}, int, "here: has no 'a'; it has 'b'"),
        ({"a": True}, int, "'a' is True; expected an integer"),
        ({"a": "1"}, int, "'a' is '1'; expected an integer"),
        ({"a": None}, (int, str), "'a' is None; expected an integer or a text"),
        ({"a": " \t"}, str, "'a' is empty"),
        ([], str, "here: got a list; expected an object with 'a'"),
    ):
        with pytest.raises(DataError, match=message):
            field_of(row, "a", kind, "here")
