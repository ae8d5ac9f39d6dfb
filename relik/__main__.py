"""`python -m relik`, where no `relik` is on the path."""

from relik.cli import main

if __name__ == "__main__":
    main()
