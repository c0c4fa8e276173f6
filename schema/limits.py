"""How much one operation may ask for."""

TOKENS = 2_000  # of the document
DEPTH = 15  # of nested fields, fragments unfolded
