"""`python -m xlprobe` is the command line."""

from xlprobe.cli import main

if __name__ == "__main__":
    main()
