"""What is true: slices of use-cases over one kernel. Imports nothing of ours but itself."""
