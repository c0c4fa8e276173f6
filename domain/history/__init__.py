"""History: what points were, as columns."""

from domain.history.queries import VALUES_MAX as VALUES_MAX
from domain.history.queries import History as History
from domain.history.queries import Series as Series
from domain.history.queries import history as history
from domain.history.queries import values_max as values_max
