"""The front door: composition of everything else."""
