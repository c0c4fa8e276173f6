"""Forward-only migrations, run by the owner's role alone (`voltgraph migrate`)."""
