from datetime import datetime

import strawberry

from domain import history
from resolvers import history as door
from schema import limits
from schema.view import answer, attribute, view


@view(history.Series)
class Series:
    """A point's column."""

    address: str = attribute("Of the point.")
    unit: str | None = attribute("Of the values.")
    values: list[float | None] = attribute("As long as `timestamps`; null where there is no number.")


@view(history.History)
class History:
    """A time series as columns."""

    timestamps: list[datetime] = attribute("Of each row; with a resolution the beginning of each period.")
    series: list[Series] = attribute("A column per point, in the order of the question.")


@strawberry.type
class HistoryQuery:
    history: History | None = answer(
        door.columns,
        "What points were, from `from` until before `to`.",
        cost=limits.of_history,
        size="points",
    )
