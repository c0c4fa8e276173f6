"""The exported schema is what the server serves: a difference is a decision, seen in review."""

from pathlib import Path

import schema

EXPORTED = Path(schema.__file__).with_name("schema.graphql")


def test_the_exported_schema_is_the_served_one() -> None:
    assert EXPORTED.read_text(encoding="utf-8") == schema.build().as_str() + "\n", (
        "the schema has changed: if that was meant, `voltgraph schema > schema/schema.graphql`"
    )
