"""Files as people and programs write them, read whole or cut anywhere."""

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.imports import Layout, PointColumn, Portion
from domain.points import Quality, Reading, Source
from gateways.files import CsvFiles
from gateways.files.numbers import number

BERLIN = "Europe/Berlin"


def read(data: str | bytes, *, zone: str = "UTC", parts: int = 1_000_000, **said: Any) -> Portion:
    """A whole file, in parts of so many bytes."""
    whole = data.encode() if isinstance(data, str) else data
    file = CsvFiles().opened(Layout(**said), ZoneInfo(zone))
    portions = [file.read(whole[start : start + parts]) for start in range(0, len(whole), parts)]
    portions.append(file.end())
    return Portion(
        rows=sum(portion.rows for portion in portions),
        readings=[reading for portion in portions for reading in portion.readings],
        lines=[line for portion in portions for line in portion.lines],
        errors=[error for portion in portions for error in portion.errors],
    )


def short(portion: Portion) -> list[tuple[Any, ...]]:
    return [(reading.address, reading.at.isoformat(), reading.value) for reading in portion.readings]


def problems(portion: Portion) -> list[int]:
    return [error.line for error in portion.errors]


def test_a_file_of_series_and_units() -> None:
    found = read("seriesId,timestamp,value,unit\nload,2025-10-08T00:15:00Z,150.5,kW\n")

    at = datetime(2025, 10, 8, 0, 15, tzinfo=UTC)
    assert found.readings == [Reading("load", at, 150.5, unit="kW", source=Source.IMPORTED)]
    assert (found.rows, found.lines, found.errors) == (1, [2], [])


def test_a_file_of_meters_series_and_qualities() -> None:
    found = read(
        "timestamp,meter_id,series_id,value,quality\n"
        "2024-10-01T00:00:00Z,meter-1,meter-1-load,1,Good\n"
        "2024-10-01T00:15:00Z,meter-1,meter-1-load,2,uncertain\n"
        "2024-10-01T00:30:00Z,meter-1,meter-1-load,3,Estimated\n"
        "2024-10-01T00:45:00Z,meter-1,meter-1-load,4,BAD\n"
        "2024-10-01T01:00:00Z,meter-1,meter-1-load,,missing\n"
        "2024-10-01T01:15:00Z,meter-1,meter-1-load,0,missing\n"
        "2024-10-01T01:30:00Z,meter-1,meter-1-load,5,\n"
        "2024-10-01T01:45:00Z,meter-1,meter-1-load,5,splendid\n"
    )

    assert [(reading.value, reading.quality) for reading in found.readings] == [
        (1.0, Quality.GOOD),
        (2.0, Quality.UNCERTAIN),
        (3.0, Quality.UNCERTAIN),
        (4.0, Quality.BAD),
        (None, Quality.BAD),
        (None, Quality.BAD),
        (5.0, Quality.GOOD),
    ]
    assert {reading.address for reading in found.readings} == {"meter-1-load"}
    assert problems(found) == [9]


@pytest.mark.parametrize(
    "header",
    [
        "seriesId,timestamp,value",
        "series_id,TIMESTAMP,Value",
        " Series ID , Time Stamp , VALUE ",
        '"series-id","timestamp","value"',
        "Series.Id,measured_at,Reading",
        "Zähler,Zeitstempel,Wert",
    ],
)
def test_headers_are_read_however_they_are_spelt(header: str) -> None:
    assert short(read(f"{header}\na,2026-01-01T00:00:00Z,1\n")) == [("a", "2026-01-01T00:00:00+00:00", 1.0)]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("parts", [1, 7, 1_000])
def test_every_mark_line_end_and_delimiter(bom: bytes, end: str, delimiter: str, parts: int) -> None:
    lines = [["at", "address", "value"], ["2026-01-01", "a", "1.5"], ["2026-01-02", "b", "-2e3"]]
    data = bom + "".join(delimiter.join(line) + end for line in lines).encode()

    found = read(data, parts=parts)

    assert [(reading.address, reading.value) for reading in found.readings] == [("a", 1.5), ("b", -2000.0)]
    assert found.lines == [2, 3]


def test_what_spreadsheets_write() -> None:
    data = 'sep=;\nZeit;"Zähler ""Nord""";Wert [kWh]\n31.12.2025 24:00;x;"1.234,5"\n1.1.26 9:30;y;0,5\n'
    found = read(data.encode("cp1252"), zone=BERLIN, address='Zähler "Nord"')

    assert [(reading.address, reading.value, reading.unit) for reading in found.readings] == [
        ("x", 1234.5, "kWh"),
        ("y", 0.5, "kWh"),
    ]
    assert [reading.at.isoformat() for reading in found.readings] == [
        "2025-12-31T23:00:00+00:00",
        "2026-01-01T08:30:00+00:00",
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wider_encodings_with_their_mark_or_without(encoding: str) -> None:
    assert short(read("at,address,value\n2026-01-01,ä,1\n".encode(encoding), parts=3)) == [
        ("ä", "2026-01-01T00:00:00+00:00", 1.0)
    ]


def test_a_title_may_have_more_of_another_delimiter() -> None:
    found = read("Meters, depot, Berlin, 2026, checked\n\nZeit;Netz [kW];PV\n01.03.2026 12:00;1,5;2\n")

    assert [(reading.address, reading.value) for reading in found.readings] == [("Netz", 1.5), ("PV", 2.0)]


@pytest.mark.parametrize("first", ["sep=;\n", "SEP=\n", 'sep="\n', ""])
def test_a_line_that_names_the_delimiter_is_none_of_the_file(first: str) -> None:
    assert len(read(f"{first}at;point;value\n2026-01-01;a;1\n").readings) == 1


def test_a_wide_file_has_a_column_per_point() -> None:
    found = read(
        "Datum;Uhrzeit;Netz [kW];PV (kW);Notiz (alt);Quality\n"
        "01.02.2026;00:15;1,5;;7;good\n"
        "01.02.2026;00:30;x;2,5;8;good\n"
        "01.02.2026;;3;3;3;good\n",
        prefix="site/",
    )

    assert [(reading.address, reading.value, reading.unit) for reading in found.readings] == [
        ("site/Netz", 1.5, "kW"),
        ("site/Notiz (alt)", 7.0, None),
        ("site/PV", 2.5, "kW"),
        ("site/Notiz (alt)", 8.0, None),
    ]
    assert [(error.line, error.message) for error in found.errors] == [
        (3, "site/Netz: 'x' is no number"),
        (4, "the time is missing"),
    ]


def test_a_wide_file_may_say_which_columns_are_whose() -> None:
    found = read(
        "at,A,B,C\n2026-01-01,1,2,3\n",
        points=(PointColumn("c", "site/c", "W"), PointColumn("2", "site/a")),
    )

    assert [(reading.address, reading.value, reading.unit) for reading in found.readings] == [
        ("site/c", 3.0, "W"),
        ("site/a", 1.0, None),
    ]


def test_a_file_without_header_goes_by_numbers() -> None:
    assert short(read("1767225600;x;2,5\n", header=False, at="1", address="2", value="3")) == [
        ("x", "2026-01-01T00:00:00+00:00", 2.5)
    ]


def test_titles_comments_and_blank_lines_are_passed_over_and_lines_counted_all_the_same() -> None:
    found = read("# made by hand\n\nMeters of the depot\nat,point,value\n\n2026-01-01,a,1\n,,\nnow,a,1\n")

    assert short(found) == [("a", "2026-01-01T00:00:00+00:00", 1.0)]
    assert (found.lines, problems(found)) == ([6], [8])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00"),
        ("2026-03-01 12:00", "2026-03-01T11:00:00"),
        ("2026-03-01T12:00:00.123456789+01:00", "2026-03-01T11:00:00.123456"),
        ("2026-03-01 12:00:00 +0100", "2026-03-01T11:00:00"),
        ("2026/3/1 12:00 UTC", "2026-03-01T12:00:00"),
        ("01.03.2026 12:00:00", "2026-03-01T11:00:00"),
        ("1.3.26 12:00", "2026-03-01T11:00:00"),
        ("13/3/2026 1:05 pm", "2026-03-13T12:05:00"),
        ("3/13/2026 12:05 AM", "2026-03-12T23:05:00"),
        ("20260301", "2026-02-28T23:00:00"),
        ("1772366400", "2026-03-01T12:00:00"),
        ("1772366400000", "2026-03-01T12:00:00"),
        ("1772366400000000", "2026-03-01T12:00:00"),
        ("1772366400000000000", "2026-03-01T12:00:00"),
        ("1772366400.5", "2026-03-01T12:00:00.500000"),
        ("1772366400000.25", "2026-03-01T12:00:00.000250"),
        ("202603011200", "2026-03-01T11:00:00"),
        ("20260301120030", "2026-03-01T11:00:30"),
    ],
)
def test_times(written: str, meant: str) -> None:
    assert short(read(f"at,point,value\n{written},a,1\n", zone=BERLIN)) == [("a", f"{meant}+00:00", 1.0)]


@pytest.mark.parametrize(
    "written",
    ["", "noon", "2026-13-01", "03/04/2026", "1.2.3", "25:00", "99999", "0001-01-01", "²²²²²²²²²²", "1772366400.x"],
)
def test_what_is_no_time_is_told_by_its_line(written: str) -> None:
    assert problems(read(f"at,point,value\n{written},a,1\n2026-01-01,a,1\n", zone=BERLIN)) == [2]


def test_day_and_month_are_told_apart_by_another_row_or_by_word() -> None:
    data = "at,point,value\n03/04/2026,a,1\n13/04/2026,a,1\n"

    assert [at[:10] for _, at, _ in short(read(data))] == ["2026-04-03", "2026-04-13"]
    assert [at[:10] for _, at, _ in short(read("at,point,value\n03/04/2026,a,1\n", day_first=False))] == ["2026-03-04"]


def test_an_hour_that_comes_twice_is_two_hours_and_one_that_never_came_is_none() -> None:
    times = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    autumn = "".join(f"25.10.2026 {time},{point},1\n" for time in times for point in ("a", "b"))

    found = read(f"at,point,value\n{autumn}29.03.2026 02:30,a,1\n", zone=BERLIN)

    for point in ("a", "b"):
        assert [at[11:16] for address, at, _ in short(found) if address == point] == [
            *("23:30", "00:00", "00:30", "01:00", "01:30", "02:00"),
        ]
    assert problems(found) == [14]


CHANGES = {  # of the clock
    "2026-10-25T01:00Z": BERLIN,
    "2026-03-29T01:00Z": BERLIN,
    "2026-11-01T06:00Z": "America/New_York",
    "2026-04-04T15:00Z": "Australia/Lord_Howe",
    "2011-12-30T10:00Z": "Pacific/Apia",
}


@given(
    change=st.sampled_from(sorted(CHANGES)),
    before=st.integers(61, 350),
    minutes=st.sampled_from([1, 5, 15, 30]),
    is_newest_first=st.booleans(),
    is_wide=st.booleans(),
)
@settings(max_examples=50)
def test_what_a_clock_on_the_wall_showed_is_read_as_the_time_that_it_was(
    change: str, before: int, minutes: int, is_newest_first: bool, is_wide: bool
) -> None:
    zone, start = CHANGES[change], datetime.fromisoformat(change) - timedelta(minutes=before)
    times = [start + timedelta(minutes=minutes * number) for number in range(420 // minutes)]
    if is_newest_first:
        times.reverse()
    shown = [at.astimezone(ZoneInfo(zone)).strftime("%d.%m.%Y %H:%M") for at in times]
    rows = [f"{text},1,2" if is_wide else f"{text},a,1\n{text},b,1" for text in shown]

    found = read("\n".join(["at,a,b" if is_wide else "at,point,value", *rows]), zone=zone)

    assert found.errors == []
    for point in ("a", "b"):
        assert [reading.at for reading in found.readings if reading.address == point] == times


@given(value=st.floats(allow_nan=False, allow_infinity=False), apart=st.sampled_from(["", " ", "'", "\u202f"]))
def test_a_number_is_the_same_with_point_or_comma(value: float, apart: str) -> None:
    written = f"{value:,f}".replace(",", apart)
    for comma in (False, True):
        text = written.replace(".", ",") if comma else written
        assert number(text, comma=comma) == pytest.approx(float(f"{value:f}"), rel=1e-15)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["1.5", "1,234.5", "1 234", "-.5", "1e3", "+7", "TRUE", "off"], [1.5, 1234.5, 1234, -0.5, 1000, 7, 1, 0]),
        (["1,5", "1.234,5", "1 234", "1'234'567,25", "1.234"], [1.5, 1234.5, 1234, 1234567.25, 1234]),
    ],
)
def test_numbers_with_point_or_comma(written: list[str], meant: list[float]) -> None:
    rows = "".join(f'2026-01-01;a;"{value}"\n' for value in written)

    found = read(f"at;point;value\n{rows}")

    assert ([reading.value for reading in found.readings], found.errors) == (meant, [])


def test_a_number_of_the_other_kind_is_refused_rather_than_misread() -> None:
    assert problems(read("at;point;value\n2026-01-01;a;1,5\n2026-01-01;a;1.5\n", decimal_comma=True)) == [3]
    assert problems(read("at;point;value\n2026-01-01;a;1.5\n2026-01-01;a;1,5\n2026-01-01;a;1_0\n")) == [3, 4]
    assert problems(read("at,point,value\n2026-01-01,a,1,5\n")) == [2]


def test_a_quotation_mark_that_is_not_closed_costs_one_row() -> None:
    found = read('at,point,value\n2026-01-01,"a,1\n2026-01-01,b,2\n2026-01-01,c,3\n', parts=5)

    assert ([address for address, _, _ in short(found)], problems(found)) == (["b", "c"], [2])
    last = read('at,point,value\n2026-01-01,b,2\n2026-01-01,"a,1\n')
    assert (short(last), problems(last)) == ([("b", "2026-01-01T00:00:00+00:00", 2.0)], [3])


def test_a_row_without_an_address_is_an_error_whatever_is_put_before_addresses() -> None:
    assert problems(read("at,point,value\n2026-01-01,,1\n2026-01-01, ,1\n2026-01-01,a,1\n", prefix="site/")) == [2, 3]


ROW = "2026-03-01T12:00:00Z,a,1\n"
HOSTILE = {
    "columns": "at," + ",".join(f"c{number}" for number in range(60_000)) + "\n2026-01-01,1\n",
    "blanks in a header": f"at,a{' ' * 100_000}b,value\n{ROW}",
    "brackets in a header": f"at,{'[' * 100_000},value\n{ROW}",
    "blanks in a time": f"at,point,value\n1.1.2026 12:00{' ' * 100_000}x,a,1\n",
    "digits": f"at,point,value\n2026-01-01,a,{'9' * 130_000}\n2026-01-01,a,{'1,' * 60_000}\n",
    "quotation marks": "at,point,value\n" + '",a"b,"\n' * 20_000,
    "blank lines": "at,point,value\n" + "\n" * 2_000_000,
    "returns": "at,point,value\r" + ROW.replace("\n", "\r") * 10_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_no_file_keeps_a_server_from_others(data: str) -> None:
    """What took minutes was thousands of times slower than what is allowed here."""
    whole = data.encode()
    file = CsvFiles().opened(Layout(), ZoneInfo("UTC"))
    started = process_time()

    with suppress(Invalid):
        for start in range(0, len(whole), 65_536):
            file.read(whole[start : start + 65_536])
        file.end()

    assert process_time() - started < 5


@pytest.mark.parametrize(
    "head", ["at,point,value\n2026-01-01,", "at,a\0b\n2026-01-01,", "at,point,value\n2026-01-01,a,"]
)
def test_what_is_said_of_an_error_can_be_kept(head: str) -> None:
    """As JSON in a row, with a hundred others."""
    try:
        told = [error.message for error in read(f"{head}\0{'1' * 100_000},5\n", decimal_comma=False).errors]
    except Invalid as error:
        told = [error.message]

    assert all(len(message) < 1_000 and "\0" not in message for message in told)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"PK\x03\x04workbook\n",
        b"\x1f\x8bpacked\n",
        b"at,\0,b\n1,2,3\n",
        b"a,b\n1,2\n",
        b"at,value\n2026-01-01,1\n",
        b"at,point\n2026-01-01,a\n",
        b"at,point,value,value\n2026-01-01,a,1,1\n",
        b"at,a,A,a\n2026-01-01,1,2,3\n",
        b"at,point,value" + b"x" * 2_000_000,
    ],
    ids=range(11),
)
def test_what_is_no_file_of_readings_is_refused_as_a_whole(data: bytes) -> None:
    with pytest.raises(Invalid):
        read(data, parts=65_536)


TEXTS = st.text(st.sampled_from("ab ,;|\"'\n\r\té"), min_size=1, max_size=8).filter(lambda text: text.strip())


@given(
    rows=st.lists(st.tuples(TEXTS, st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=20),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    parts=st.integers(1, 60),
)
def test_whatever_the_csv_module_writes_is_read_again(
    rows: Sequence[tuple[str, float]], delimiter: str, end: str, quoting: Any, parts: int
) -> None:
    assume(end == "\r\n" or not any("\r" in words for words, _ in rows))  # the module would not quote it
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["timestamp", "point", "value", "text"])
    writer.writerows(["2026-01-01T00:00:00Z", "a", value, words] for words, value in rows)

    found = read(text.getvalue(), parts=parts, delimiter=delimiter, decimal_comma=False)

    assert found.errors == []
    assert [(reading.text, reading.value) for reading in found.readings] == rows


@given(data=st.binary(max_size=300), parts=st.integers(1, 50), head=st.sampled_from([b"", b"at,point,value\n"]))
def test_no_bytes_at_all_are_more_than_refused(data: bytes, parts: int, head: bytes) -> None:
    whole = head + data
    try:
        found = read(whole, parts=parts)
    except Invalid:
        return
    assert found.rows == len(found.readings) + len(found.errors)
    assert found.readings == read(whole).readings
