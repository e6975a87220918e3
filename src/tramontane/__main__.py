"""`python -m tramontane`."""

from tramontane.app import main

if __name__ == "__main__":
    main()
