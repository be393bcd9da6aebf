"""NDJSON, JSON and inline lists."""

import json

import pytest

from sendonce.domain.errors import InvalidInput
from sendonce.intake.objects import Array
from sendonce.intake.reader import read_inline
from sendonce.intake.unpack import BLOCK

A, B, C = "+79991234567", "+79991234568", "+79991234569"


async def test_ndjson_rows_are_lines(read):
    """Refusals carry the line number, blank lines included."""
    got = await read(f'{{"to":"{A}","name":"Anna"}}\n\n{{"to":"+7"}}\r\n{{"to":"{B}","name":null}}')
    assert (got.columns, got.rows) == (("name",), [(A, ("Anna",)), (B, ("",))])
    assert list(got.reasons) == [3]


async def test_json_rows_are_elements(read):
    """Refusals carry the number of the element; an element that is no object is one of them."""
    got = await read(f' [ {{"name":"Anna","phone":"{A}"}} , "x", {{"phone":"nobody"}}, 17 ] \n')
    assert got.rows == [(A, ("Anna",))]
    assert got.reasons == {
        2: "is not an object",
        3: "is not a phone number: it has letters in it",
        4: "is not an object",
    }


async def test_scalars_become_text_as_json_writes_them(read):
    """Numbers keep their digits, a phone may be a number, null is empty, and what is nested is refused."""
    got = await read(f'{{"to":{A[1:]},"a":1.50,"b":true,"c":null,"d":12345678901234567890}}\n{{"to":"{B}","a":[1]}}\n')
    assert got.rows == [(A, ("1.50", "true", "", "12345678901234567890"))]
    assert "'a' is nested" in got.reasons[2]


async def test_a_late_key_is_refused(read):
    """Columns are those of the first thousand objects; a later key is named, not silently cut."""
    lines = [json.dumps({"to": f"+7999{i:07d}", **({"city": "Omsk"} if i == 999 else {})}) for i in range(1100)]
    lines[1050] = f'{{"to":"{A}","nick":"x"}}'
    got = await read("\n".join(lines), "application/x-ndjson")
    assert got.columns == ("city",)
    assert "'nick'" in got.reasons[1051]


async def test_unwanted_characters_never_get_through(read):
    """Escaped zeros and half surrogates are dropped, so that the text can be stored and sent."""
    got = await read(f'{{"to":"{A}","name":"a\\u0000b\\ud800c\\u001b"}}')
    assert got.rows == [(A, ("abc",))]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{{"to":"{A}"}}\n{{"to":', "line 2 is not valid JSON"),
        (f'{{"to":"{A}"}}\n{{"to":NaN}}', "line 2 is not valid JSON: NaN"),
        (f'[{{"to":"{A}"}},', "ends too early, after element 1"),
        (f'[{{"to":"{A}"}}', "ends too early, after element 1"),
        (f'[{{"to":"{A}"}}, {{"to"}}]', "element 2 is not valid JSON"),
        (f'[{{"to":"{A}"}} {{"to":1}}]', "after element 1: '{' where ',' or ']'"),
        (f'[{{"to":"{A}"}}] x', "after element 1: 'x' where nothing"),
        (f'[{{"to":"{A}"}},]', "element 2 is not valid JSON"),
        (f'[{{"to":"{A}","x":' + "[" * 100_000 + "]", "element 1 is not valid JSON"),
        ('[{"name":"Anna"}]', "no phone column among 'name'"),
        ("[]", "no object"),
        (f'{{"to":"{A}"," name":1}}', "the key ' name' cannot name a column"),
    ],
)
async def test_broken_json_is_refused_with_the_place(read, text, reason):
    """The error names the line or the element."""
    with pytest.raises(InvalidInput, match=reason):
        await read(text)


async def test_a_json_file_that_is_no_array_is_refused(read):
    """A Content-Type that names JSON holds the file to it."""
    with pytest.raises(InvalidInput, match=r"'{' where '\[' should be"):
        await read('{"to":"+79991234567"}', "application/json; charset=utf-8")


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/json"])
async def test_an_object_without_end_is_refused(read, content_type):
    """An object that outgrows a block ends the import instead of filling memory."""
    text = f'[{{"to":"{A}"}}, ' if content_type == "application/json" else f'{{"to":"{A}"}}\n'
    with pytest.raises(InvalidInput, match=r"does not end within|not valid JSON"):
        await read(text.encode() + b'{"to":"' + b"9" * (3 * BLOCK), content_type)


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/json"])
async def test_the_first_block_need_not_hold_a_thousand_objects(read, content_type):
    """Long objects, of which a block holds few and cuts one, are read, and a last line needs no newline."""
    lines = [json.dumps({"to": f"+7999{i:07d}", **{f"v{n}": "x" * 1000 for n in range(3)}}) for i in range(400)]
    text = "\n".join(lines) if content_type.endswith("ndjson") else f"[{','.join(lines)}]"
    got = await read(text, content_type)
    assert len(got.rows) == 400
    assert (await read('{"to":"+79991234567"}\n{"to":"+79991234568","n":1}')).columns == ("n",)


async def test_large_arrays_are_read_object_by_object(read):
    """An array of many blocks keeps order and numbers."""
    items = [{"to": f"+7999{i:07d}", "name": "x" * 60} for i in range(20_000)]
    items[15_000] = {"to": "nobody", "name": ""}
    got = await read(json.dumps(items))
    assert len(got.rows) + len(got.refused) == 20_000
    assert 15_001 in got.reasons


def test_every_cut_of_an_array_gives_the_same():
    """Fed in two pieces cut at every character, an array gives the rows that it gives whole."""
    text = f' [{{"to":"{A}","n":12}}, 123 ,{{"to":{B[1:]},"n":"]}},{{"}}\n] '

    def rows(*pieces: str) -> list[tuple[object, ...]]:
        array = Array(text, True)
        fed = [part for at, piece in enumerate(pieces) for part in array.feed(piece, at == len(pieces) - 1)]
        return [row for part in fed for row in [*zip(*part[:3], strict=True), *part.refused]]

    whole = sorted(rows(text), key=str)
    assert len(whole) == 3
    for cut in range(len(text) + 1):
        assert sorted(rows(text[:cut], text[cut:]), key=str) == whole, cut


def test_inline_recipients_pass_the_same_checks():
    """Recipients within a request give columns, rows, refusals and duplicates like a file."""
    got = read_inline(
        [{"to": A, "name": "Anna", "age": 30}, {"to": "+7"}, {"to": A[1:]}, {"to": B, "age": 1.5}, {"to": C, "age": {}}]
    )
    assert got.columns == ("name", "age")
    assert got.rows == [(A, ("Anna", "30")), (B, ("", "1.5"))]
    assert [refusal.row for refusal in got.refused] == [2, 5]
    assert got.duplicates == 1


def test_inline_recipients_without_a_phone_name_the_field():
    """The error is about `recipients`, not about a file."""
    with pytest.raises(InvalidInput, match="no phone column among 'name'") as caught:
        read_inline([{"name": "Anna"}])
    assert caught.value.field == "recipients"
