"""Figures as ratios against a named limit in the same run; the table of the last one is in README.md."""
