"""History: what points were, as columns."""

from domain.history.queries import History as History
from domain.history.queries import Series as Series
from domain.history.queries import history as history
