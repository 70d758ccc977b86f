"""`python -m labapp`: the same as the script `llmlab`."""

import sys

from labapp.cli import main

if __name__ == "__main__":
    sys.exit(main())
