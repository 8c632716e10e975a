"""mlagent: three specialists, one referee, one sandbox. Importing it imports nothing else."""

__version__ = "0.1.0"
