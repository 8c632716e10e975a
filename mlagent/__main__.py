"""`python -m mlagent` is the `mlagent` command."""

from mlagent.cli.main import main

if __name__ == "__main__":
    main()
