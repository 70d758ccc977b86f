"""JSON is read as the standard library reads it, except where two readers could differ: that is refused."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.formats.bounded_json import parse_json, read_json
from core.problems import LabError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=4), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


def problem(text: str | bytes) -> str:
    with pytest.raises(LabError) as caught:
        parse_json(text, "x.json")
    assert caught.value.problem.isprintable()
    assert caught.value.problem.startswith("x.json, ")
    return caught.value.problem


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_what_json_writes_is_read_back(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert parse_json(text, "x.json") == value
    assert parse_json(text.encode(), "x.json") == value


@given(VALUES, st.data())
def test_a_key_that_stands_twice_is_found_wherever_it_is(value: Any, data: st.DataObject) -> None:
    outer = data.draw(st.sampled_from(["%s", '{"a": [%s]}', '[1, "{\\"", %s]']))
    twice = f'{{"k": 1, "b": {json.dumps(value)}, "\\u006b": 2}}'
    text = outer % twice
    place = problem(text)
    assert 'the key "k" stands here a second time' in place
    assert f"column {text.index(chr(92) + 'u006b'):,}" in place


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1,\n "a": 2}', 'line 2, column 2: the key "a" stands here a second time'),
        ('{"a": {"a": 1}, "b": {"a": 1}, "a": 0}', "column 32: the key"),
        ('["a", "a", {"x": ["x", "x"]}, NaN]', "NaN is not a number"),
        ("[-Infinity]", "column 2: -Infinity is not a number"),
        ("[1, 1e999]", "column 5: the number 1e999 is too large"),
        ("[-1e999]", "too large"),
        ("12345678901234567890", "a whole number has 20 digits"),
        ("-12345678901234567890", "a whole number has 20 digits"),
        ("9" * 5_000, "a whole number has 5,000 digits"),
        ('["\\ud800"]', "half a surrogate pair"),
        ('["\\udc00\\ud800"]', "half a surrogate pair"),
        ('{"\\uD83D": 1}', "half a surrogate pair"),
        ("[" * 101 + "]" * 101, "column 101: lists and objects lie more than 100 deep"),
        ("[" * 200_000, "100 deep"),
        ('{"a":' * 100_000, "100 deep"),
        ("", "line 1, column 1: this is not JSON"),
        ("[1,]", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('["\x1b"]', "Invalid control character"),
        ("[1] [2]", "column 5"),
        ("\ufeff[]", "column 1"),
        (b'["\xc3"]', "byte 2: 0xc3 is not valid UTF-8"),
        (b"[" + b"[]," * 800_000 + b"[]]", "more than 700,000 lists"),
        (b"[" + b"1," * 2_100_000 + b"1]", "2,000,000 values"),
    ],
)
def test_what_is_ambiguous_or_made_to_harm_is_refused_with_its_place(text: str | bytes, says: str) -> None:
    assert says in problem(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9999999999999999999", 9999999999999999999), ("-0", 0), ("1e308", 1e308), ("[" * 100 + "]" * 100, None),
        ('"\\ud83d\\ude00"', "😀"), ('"\\\\ud800"', "\\ud800"), ('{"a": "NaN", "b": "a"}', {"a": "NaN", "b": "a"}),
        ('{"\\"": 1, "\\\\": 2, "": 3}', {'"': 1, "\\": 2, "": 3}), ('{"": {"": {}}}', {"": {"": {}}}),
    ],
)  # fmt: skip
def test_what_is_only_strange_is_read(text: str, value: Any) -> None:
    found = parse_json(text, "x.json")
    assert found == value or value is None
    assert not isinstance(found, float) or math.isfinite(found)


def test_a_file_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1, 2, 3]")
    assert read_json(tmp_path / "a.json") == [1, 2, 3]
    with pytest.raises(LabError, match=r"a\.json holds 9 bytes; at most 8 are read"):
        read_json(tmp_path / "a.json", at_most=8)


def test_a_key_that_stands_twice_in_a_huge_object_is_found_in_time() -> None:
    text = "{" + ",".join(f'"key{i}":{i}' for i in range(300_000)) + ',\n"key7":1}'
    began = time.thread_time()
    with pytest.raises(LabError, match=r'line 2, column 1: the key "key7" stands here a second time'):
        parse_json(text, "x.json")
    assert time.thread_time() - began < 1.0
