"""`python -m voltgraph.child PARENT …`: the command line in a process that ends when the one that started it does."""

import sys

from voltgraph.processes import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv.pop(1)))

    from voltgraph.cli import main

    main()
