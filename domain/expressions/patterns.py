"""Patterns of addresses: `*` stands for any characters but `/`, `**` for any at all, `\\*` for a star."""

import re
from functools import lru_cache

_PART = re.compile(r"\\\*|\*\*|.", re.DOTALL)
_MEANINGS = {"*": "[^/]*", "**": ".*", "\\*": "\\*"}


@lru_cache(maxsize=1_000)
def regex(glob: str) -> str:
    """The whole address, in what is the same to Python and to PostgreSQL."""
    return f"^{''.join(_MEANINGS.get(part) or _literal(part) for part in _PART.findall(glob))}$"


def _literal(character: str) -> str:
    """Escaped where it is neither letter nor digit, which both of them then take as it is."""
    return f"\\{character}" if character.isascii() and not character.isalnum() else character
