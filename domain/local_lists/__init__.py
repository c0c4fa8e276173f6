"""Local lists: what stations keep of tokens, to charge without asking us."""

from domain.local_lists.keeping import forget_fleet as forget_fleet
