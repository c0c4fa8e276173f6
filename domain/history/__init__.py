"""History: what points were, as columns."""

from domain.history.columns import Buckets as Buckets
from domain.history.columns import Column as Column
from domain.history.columns import Function as Function
from domain.history.columns import columns as columns
from domain.history.columns import last_before as last_before
from domain.history.columns import tracks as tracks
from domain.history.filling import Fill as Fill
from domain.history.queries import History as History
from domain.history.queries import Series as Series
from domain.history.queries import history as history
from domain.history.questions import VALUES_MAX as VALUES_MAX
from domain.history.questions import values_max as values_max
from domain.history.thinning import Downsampling as Downsampling
