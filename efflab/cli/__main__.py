"""`python -m efflab.cli`, where the `efflab` command is not on the path."""

from efflab.cli import main

if __name__ == "__main__":
    main()
