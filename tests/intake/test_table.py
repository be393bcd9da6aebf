"""CSV lists: delimiters, headers, quotes, row numbers, refusals."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendonce.domain.errors import InvalidInput
from sendonce.intake.format import BATCH
from sendonce.intake.table import Table
from sendonce.intake.unpack import BLOCK

A, B, C = "+79991234567", "+79991234568", "+79991234569"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
async def test_any_common_delimiter_is_found(read, delimiter):
    """The delimiter need not be told, and the other candidates may stand in the values."""
    others = ",;\t|".replace(delimiter, " ")
    got = await read(f"phone{delimiter}name\n{A}{delimiter}Anna\n{B}{delimiter}Ivan{others}Petrov\n", "text/csv")
    assert (got.columns, got.rows) == (("name",), [(A, ("Anna",)), (B, (f"Ivan{others}Petrov",))])


async def test_excel_may_declare_the_delimiter(read):
    """A first line `sep=;` is no data and settles the delimiter; it counts as a row."""
    got = await read(f"sep=;\r\nto;a,b,c,d\r\n{A};1,2,3,4\r\n+7;x\r\n")
    assert (got.columns, got.rows) == (("a,b,c,d",), [(A, ("1,2,3,4",))])
    assert list(got.reasons) == [4]


@pytest.mark.parametrize(
    "name", ["to", "PHONE", "Phone Number", "phone-number", "telephone", "mobile", "tel", "Телефон", "номер"]
)
async def test_the_phone_column_is_found_by_name(read, name):
    """The phone column may stand anywhere, under the names that people give it."""
    got = await read(f"name,{name},city\nAnna,{A},Omsk\n")
    assert (got.columns, got.rows) == (("name", "city"), [(A, ("Anna", "Omsk"))])


async def test_of_several_phone_columns_the_best_name_wins(read):
    """`to` is the address even where `phone` stands before it; the other is a variable."""
    got = await read(f"phone,to\nold,{A}\n")
    assert (got.columns, got.rows) == (("phone",), [(A, ("old",))])


async def test_a_list_needs_no_header(read):
    """Without a header the phone column is the one with phones in it, others are named by position."""
    got = await read(f"Anna,{A},Omsk\nIvan,{B},Perm\n")
    assert (got.columns, got.rows) == (("column1", "column3"), [(A, ("Anna", "Omsk")), (B, ("Ivan", "Perm"))])


async def test_one_column_of_phones_is_a_list(read):
    """Bare numbers, one a line, with or without a last newline."""
    got = await read(f"{A}\n{B}")
    assert (got.columns, got.rows) == ((), [(A, ()), (B, ())])


async def test_a_first_row_with_a_wrong_phone_is_no_header(read):
    """A wrong number in the first row is refused as row 1, not taken for the name of a column."""
    got = await read(f"+7999,Anna\n{B},Ivan\n")
    assert list(got.reasons) == [1]
    assert got.rows == [(B, ("Ivan",))]


async def test_no_phone_column_is_explained(read):
    """The error shows the headers that were seen, and what to name the column."""
    with pytest.raises(InvalidInput, match=r"'contact', 'name'.*name it 'to' or 'phone'") as caught:
        await read(f"contact,name\n{A},Anna\n")
    assert caught.value.field == "file"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("to,name,name\n", "two columns are called 'name'"),
        ("to" + ",x" * 300, "301 columns"),
        ("", "empty"),
        ("\n\n", "empty"),
    ],
)
async def test_a_useless_header_refuses_the_file(read, text, reason):
    """Nothing is read behind a header that cannot be right."""
    with pytest.raises(InvalidInput, match=reason):
        await read(text)


async def test_columns_without_a_name_are_named_by_position(read):
    """An empty header cell, as spreadsheets leave them, becomes `columnN`."""
    assert (await read(f"to,,name\n{A},1,2\n")).columns == ("column2", "name")


async def test_rows_are_numbered_as_a_spreadsheet_does(read):
    """Header and blank rows count, and a row with a newline in quotes is one row."""
    got = await read(f'to,name\n{A},"Anna\nMaria"\n\n+7,short\n;\n,\n{B},"a ""b"""\nx,y\n,nobody\n')
    assert got.rows == [(A, ("Anna\nMaria",)), (B, ('a "b"',))]
    assert list(got.reasons) == [4, 5, 8, 9]
    assert got.reasons[9] == "is empty"


async def test_cells_too_many_are_refused_and_too_few_are_empty(read):
    """A row may be shorter than the header or have empty cells behind it, but no values."""
    got = await read(f"to,name,city\n{A}\n{B},Ivan,Perm,\n{C},Oleg,Ufa,surplus\n")
    assert got.rows == [(A, ("", "")), (B, ("Ivan", "Perm"))]
    assert got.reasons == {4: "has 4 cells, but there are 3 columns"}
    assert got.refused[0].value == f"{C},Oleg,Ufa,surplus"


async def test_refused_values_are_shortened(read):
    """What is shown of a refused row fits on a line."""
    got = await read(f"to,name\n{A},x\n{'no phone ' * 50},y\n")
    assert len(got.refused[0].value) == 40


async def test_duplicates_are_dropped_and_counted(read):
    """The first row of a number wins, however the number is written."""
    got = await read(f"to,name\n{A},first\n8,x\n{A[1:]},second\n+7 (999) 123-45-67,third\n{B},other\n")
    assert got.rows == [(A, ("first",)), (B, ("other",))]
    assert got.duplicates == 2


async def test_values_are_cleaned_or_refused(read):
    """Control characters go, tab and newline stay; a value over the limit refuses its row and nothing else."""
    got = await read(f'to,name\n{A},"a\x07b\tc\nd\x85"\n{B},{"x" * 1024}\n{C},{"x" * 1025}\n')
    assert got.rows == [(A, ("ab\tc\nd",)), (B, ("x" * 1024,))]
    assert got.reasons == {4: "the value of 'name' has 1,025 characters; at most 1,024 are sent"}


async def test_an_open_quote_is_refused_with_its_row(read):
    """A quote that is never closed would swallow the rest of the list; the error names where it opens."""
    with pytest.raises(InvalidInput, match="row 3 opens a quote that is never closed"):
        await read(f'to,name\n{A},"Anna"\n{B},"Ivan\n{C},Oleg\n')
    with pytest.raises(InvalidInput, match=r"row 3: .*is a quote left open"):
        await read(f'to,name\n{A},Anna\n{B},"Ivan\n' + f"{C},Oleg\n" * 20_000)


async def test_a_row_without_end_is_refused(read):
    """A row that outgrows a block ends the import instead of filling memory."""
    with pytest.raises(InvalidInput, match="row 2 does not end within"):
        await read(b"to,name\n" + b"," * (3 * BLOCK))


async def test_large_lists_come_in_bounded_batches(read):
    """Many rows over many blocks keep order, numbers and counts, and quoted newlines fall across block borders."""
    count = 3 * BATCH + 100
    lines = [f'+7999{i:07d},"name {i}\nof {"x" * 40}"\n' for i in range(count)]
    lines[20_000] = "nothing,x\n"
    got = await read("to,name\n" + "".join(lines))
    assert len(got.rows) + len(got.refused) == count
    assert 20_002 in got.reasons
    assert all(name == f"name {int(to[5:])}\nof {'x' * 40}" for to, (name,) in got.rows)
    text = "to,name\n" + "".join(lines)
    assert max(len(c.to) for c in Table(text, True).feed(text, True)) <= BATCH


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
async def test_every_cut_of_a_file_gives_the_same(newline):
    """Fed in two pieces cut at every character, a file gives the rows that it gives whole."""
    text = f'to;name{newline}{A};"Ан""на{newline}x"{newline}{newline}{B};"b;c"{newline};{newline}{C};5" tube'

    def rows(*pieces: str) -> list[tuple[object, ...]]:
        table = Table(text, True)
        fed = [table.feed(piece, at == len(pieces) - 1) for at, piece in enumerate(pieces)]
        return [row for candidates in fed for part in candidates for row in zip(*part[:3], strict=True)]

    whole = rows(text)
    assert [row[0] for row in whole] == [2, 4, 6]
    for cut in range(len(text) + 1):
        assert rows(text[:cut], text[cut:]) == whole, cut


_CELL = st.text(st.sampled_from('ab",;\n\r|\t я'), max_size=6)


@given(cells=st.lists(st.tuples(_CELL, _CELL), max_size=8), cuts=st.lists(st.integers(0, 200), max_size=4))
def test_what_csv_writes_is_read_back_at_any_cuts(cells, cuts):
    """Any values written as CSV come back as they were, with the row of each, wherever the pieces are cut."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(["to", "a", "b"])
    writer.writerows([["x", *row] for row in cells])
    text = written.getvalue()
    table = Table(text, True)
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    got = []
    for at in range(len(borders) - 1):
        for part in table.feed(text[borders[at] : borders[at + 1]], at == len(borders) - 2):
            got += list(zip(part.numbers, part.variables, strict=True))
    assert got == list(enumerate(cells, 2))
