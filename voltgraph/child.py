"""`python -m voltgraph.child …`: the command line in a process that ends when the one that started it does."""

from voltgraph.cli import main
from voltgraph.processes import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    main()
