"""What comes out: what Python's own arithmetic makes of it, and nothing where a value is missing."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.expressions import Shape, evaluated, parsed, regex

POINTS = ["a", "b", "c"]
VALUES = st.none() | st.integers(-9, 9).map(float) | st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=8)
LEAVES = (
    st.sampled_from(POINTS) | st.integers(0, 99).map("{}.".format) | st.sampled_from(["0.5", ".25", "1e3", "2.E-2"])
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}{}{}".format, inner, st.sampled_from([" + ", "-", " *", "/ "]), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["min", "max"]), inner, inner),
        st.builds("abs({})".format, inner),
        st.builds("-{}".format, inner),
        st.builds("({})".format, inner),
    )


TEXTS = st.recursive(LEAVES, _grown, max_leaves=12)
LINEAR = st.recursive(
    st.sampled_from(POINTS),
    lambda inner: st.one_of(
        st.builds("({} + {})".format, inner, inner),
        st.builds("({} - {})".format, inner, inner),
        st.builds("({} * {})".format, st.integers(-9, 9), inner),
        st.builds("sum({}, {}, {})".format, inner, inner, inner),
        st.builds("-{}".format, inner),
    ),
    max_leaves=8,
)


def computed(text: str, **columns: Any) -> Any:
    """Over one row or several, by what is given."""
    given_rows = {name: value if isinstance(value, list) else [value] for name, value in columns.items()}
    rows = max((len(column) for column in given_rows.values()), default=1)
    found = evaluated(parsed(text), given_rows, {}, since={}, rows=rows)
    return found if any(isinstance(value, list) for value in columns.values()) else found[0]


@given(TEXTS, ROWS)
def test_arithmetic_is_pythons(text: str, rows: list[tuple[float | None, ...]]) -> None:
    """The texts mean the same in both languages; where Python has no number for them, neither have we."""
    columns = dict(zip(POINTS, map(list, zip(*rows, strict=True)), strict=True))

    found = evaluated(parsed(f"a*0 + {text}"), columns, {}, since={}, rows=len(rows))

    assert found == [_python(f"a*0 + {text}", dict(zip(POINTS, row, strict=True))) for row in rows]


def _python(text: str, values: dict[str, Any]) -> float | None:
    if any(values[name] is None for name in re.findall(r"\b[abc]\b", text)):
        return None
    try:
        return float(eval(text, {}, values))  # noqa: S307  # made up here
    except ZeroDivisionError:
        return None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + b", None),
        ("b * 0", None),
        ("sum(a, b)", None),
        ("max(a, b)", None),
        ("b == b", None),
        ("coalesce(b, 0) + a", 3.0),
        ("coalesce(b, a * 2, 7)", 6.0),
        ("coalesce(b, b)", None),
        ("coalesce(a / 0, 5)", 5.0),
        ("if(a > 2, a, b)", 3.0),
        ("if(a < 2, a, b)", None),
        ("if(b, a, a)", None),
        ("if(a - 3, 1, 2)", 2.0),
        ("clamp(a, 0, 2)", 2.0),
        ("clamp(-a, 0, 2)", 0.0),
        ("clamp(a, 5, 2)", 5.0),
        ("avg(a, 5, 1)", 3.0),
        ("sum(a, 0.1, 0.2, -0.3, -a)", 0.1 + 0.2 - 0.3 - 2.7755575615628914e-17),
        ("a * 1e300 * 1e300", None),
        ("a / 0", None),
        ("0 / (a - 3)", None),
        ("a > 2", 1.0),
        ("a != 3", 0.0),
    ],
)
def test_what_is_missing_is_missing_unless_something_stands_in_for_it(text: str, value: float | None) -> None:
    assert computed(text, a=3.0, b=None) == value


@given(ROWS)
def test_a_column_is_its_rows_one_by_one(rows: list[tuple[float | None, ...]]) -> None:
    text = "if(a > b, sum(a, b, c), clamp(c, -5, 5)) * coalesce(b, 1)"
    whole = computed(text, **dict(zip(POINTS, map(list, zip(*rows, strict=True)), strict=True)))

    assert whole == [computed(text, **dict(zip(POINTS, row, strict=True))) for row in rows]


@given(LINEAR, st.lists(st.tuples(*[st.integers(-1_000, 1_000).map(float)] * 3), min_size=1, max_size=8))
def test_of_sums_a_proportional_expression_makes_the_sum(text: str, rows: list[tuple[float, ...]]) -> None:
    assert parsed(text).shape is Shape.PROPORTIONAL
    columns = dict(zip(POINTS, map(list, zip(*rows, strict=True)), strict=True))

    sums = {name: sum(column) for name, column in columns.items()}

    assert computed(text, **sums) == sum(computed(text, **columns))


def test_a_pattern_is_all_of_its_points() -> None:
    columns: dict[str, list[float | None]] = {"s/1": [1.0, 2.0], "s/2": [10.0, None], "k": [2.0, 3.0]}

    def found(text: str, *addresses: str) -> Any:
        return evaluated(parsed(text), columns, {"s/*": addresses}, rows=2, since={})

    assert found("sum('s/*')", "s/1", "s/2") == [11.0, None]
    assert found("sum(coalesce('s/*', 0))", "s/1", "s/2") == [11.0, 2.0]
    assert found("sum(k * 's/*' + 1, 100)", "s/1", "s/2") == [124.0, None]
    assert found("max('s/*', k)", "s/1") == [2.0, 3.0]
    assert found("avg(abs(-'s/*'))", "s/1") == [1.0, 2.0]
    assert found("sum('s/*') + k") == [None, None], "of no point at all nothing is known"
    assert found("coalesce(sum('s/*'), 0) + k") == [2.0, 3.0]
    assert found("sum('s/*', k)") == [2.0, 3.0]


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("a/*/c", ["a/b/c", "a//c", "a/x.y/c"], ["a/c", "a/b/b/c", "xa/b/c", "a/b/cx", "A/b/c"]),
        ("a/**", ["a/", "a/b", "a/b/c"], ["a", "b/a/b"]),
        ("a.b+*", ["a.b+", "a.b+1"], ["axb+1", "a.bb"]),
        (r"DE\*1/*", ["DE*1/x"], ["DEx1/x"]),
        (r"a\b/*", [r"a\b/1"], ["ab/1"]),
        ("Zähler/*", ["Zähler/1"], ["Zahler/1"]),
        ("*", ["a", ""], ["a/b"]),
    ],
)
def test_a_star_stands_for_a_step_of_an_address_and_two_for_any(
    glob: str, matching: list[str], others: list[str]
) -> None:
    found = [address for address in matching + others if re.search(regex(glob), address)]

    assert found == matching


def test_a_point_of_a_pattern_counts_from_when_it_is_there() -> None:
    columns: dict[str, list[float | None]] = {"s/1": [1.0, 2.0, None], "s/2": [None, 5.0, 6.0], "s/3": [None] * 3}

    def found(text: str) -> Any:
        matches = {"s/*": ["s/1", "s/2", "s/3"]}
        return evaluated(parsed(text), columns, matches, rows=3, since={"s/2": 1, "s/3": 3})

    assert found("sum('s/*')") == [1.0, 7.0, None]
    assert found("sum(coalesce('s/*', 100))") == [1.0, 7.0, 106.0]
    assert found("avg('s/*' * 2, 0)") == [1.0, 14 / 3, None]
    assert found("'s/2' + 1") == [None, 6.0, 7.0]
