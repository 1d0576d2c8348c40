"""``python -m countenance`` is ``countenance``."""

from countenance.cli import main

if __name__ == "__main__":
    main()
