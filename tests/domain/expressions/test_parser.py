"""What can be written, and where the errors stand."""

import pytest

from domain.errors import Invalid
from domain.expressions import Pattern, Reference, Shape, parsed
from domain.expressions.language import Apply, Number
from domain.expressions.parser import DEPTH_MAX, LENGTH_MAX, POINTS_MAX

THERE_ARE = "there are sum, avg, min, max, abs, clamp, coalesce, if"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a number, a point, a function or '(', not the end (at character 1)"),
        ("a +", "expected a number, a point, a function or '(', not the end (at character 4)"),
        ("a b", "expected an operator or the end, not 'b' (at character 3)"),
        ("2a", "expected an operator or the end, not 'a' (at character 2)"),
        ("1.5.2", "expected an operator or the end, not '.2' (at character 4)"),
        ("a * * b", "expected a number, a point, a function or '(', not '*' (at character 5)"),
        ("(a + b", "expected ')', not the end (at character 7)"),
        ("a + b)", "expected an operator or the end, not ')' (at character 6)"),
        ("max(a b)", "expected ',' or ')', not 'b' (at character 7)"),
        ("max()", "expected a number, a point, a function or '(', not ')' (at character 5)"),
        ("max(a,)", "expected a number, a point, a function or '(', not ')' (at character 7)"),
        ("a % b", "'%' means nothing (at character 3)"),
        ("a = b", "'=' means nothing (at character 3)"),
        ("a\x00", "'\\x00' means nothing (at character 2)"),
        ("a + 'b", "an address in quotes does not end (at character 5)"),
        ("a + ''", "an address is not empty (at character 5)"),
        ("a < b < c", "comparisons do not follow each other: use parentheses (at character 7)"),
        ("a + median(b)", f"there is no function 'median': {THERE_ARE} (at character 5)"),
        ("a + clamp(b, 1)", "clamp takes 3 values, not 2 (at character 5)"),
        ("abs(a, b)", "abs takes 1 value, not 2 (at character 1)"),
        ("coalesce(a)", "coalesce takes at least 2 values, not 1 (at character 1)"),
        ("a + 1e999", "the number is too large (at character 5)"),
        ("2 * 3", "an expression is made of at least one point (at character 1)"),
        ("sum('a/*' - 'b/*')", "two patterns do not go together: sum each of them (at character 13)"),
        ("__import__('os')", f"there is no function '__import__': {THERE_ARE} (at character 1)"),
        ("1 + a.__class__()", f"there is no function 'a.__class__': {THERE_ARE} (at character 5)"),
    ],
)
def test_an_error_says_what_is_wrong_and_where(text: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        parsed(text)

    assert refused.value.message == message
    assert refused.value.details["field"] == "expression"
    assert message.endswith(f"(at character {refused.value.details['position']})")


def test_an_expression_is_as_long_deep_and_wide_as_it_may_be_and_no_more() -> None:
    parsed("(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX)
    parsed("-" * (LENGTH_MAX - 1) + "a")
    parsed("+".join(["a"] * POINTS_MAX))

    for text, position in [
        ("(" * (DEPTH_MAX + 1) + "a" + ")" * (DEPTH_MAX + 1), DEPTH_MAX + 1),
        ("-" * LENGTH_MAX + "a", LENGTH_MAX + 1),
        ("(" * LENGTH_MAX, DEPTH_MAX + 1),
        ("+".join(["a"] * (POINTS_MAX + 1)), 2 * POINTS_MAX + 1),
    ]:
        with pytest.raises(Invalid) as refused:
            parsed(text)
        assert refused.value.details["position"] == position


def test_points_are_named_by_names_and_by_quotes() -> None:
    expression = parsed("""site.power_1 + "meter/a b/x" - 'it"s' * Zähler""")

    assert expression.references == [
        Reference("site.power_1", 1),
        Reference("meter/a b/x", 16),
        Reference('it"s', 32),
        Reference("Zähler", 41),
    ]


def test_a_star_makes_a_pattern_only_where_points_are_gathered() -> None:
    assert parsed("'station/DE*1/power'").references == [Reference("station/DE*1/power", 1)]
    assert parsed(r"sum('station/DE\*1/power', 'a/*')").references == [Reference("station/DE*1/power", 5)]
    assert parsed("sum(coalesce('a/*', 0), max('b/**', c))").patterns == [Pattern("a/*", 14), Pattern("b/**", 29)]


def test_steps_stand_in_the_order_in_which_they_are_computed() -> None:
    steps = [
        step.operation.compute.__name__
        if isinstance(step, Apply)
        else step.value
        if isinstance(step, Number)
        else step[0]
        for step in parsed("-a + 2 * (b - 1)").steps
    ]

    assert steps == ["a", "neg", 2.0, "b", 1.0, "sub", "mul", "add"]


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("a", Shape.PROPORTIONAL),
        ("-a + b / 2 - 3 * c", Shape.PROPORTIONAL),
        ("sum('a/*') - avg(b, c)", Shape.PROPORTIONAL),
        ("a + 1", Shape.AFFINE),
        ("sum(a, 1)", Shape.AFFINE),
        ("2 * (a + 1)", Shape.AFFINE),
        ("(2 + 3) * a", Shape.PROPORTIONAL),
        ("a * b", Shape.OTHER),
        ("1 / a", Shape.OTHER),
        ("max(0, a)", Shape.OTHER),
        ("a + abs(b)", Shape.OTHER),
        ("a * max(1, 2)", Shape.PROPORTIONAL),
        ("coalesce(a, 0)", Shape.OTHER),
        ("a > 1", Shape.OTHER),
    ],
)
def test_it_is_known_of_what_shape_an_expression_is(text: str, shape: Shape) -> None:
    assert parsed(text).shape is shape
