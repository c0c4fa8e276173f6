"""The outside: translate both ways, decide nothing."""
