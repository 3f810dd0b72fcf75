"""``python -m looc_mm`` is ``looc``."""

import sys

from looc_mm.cli import main

if __name__ == '__main__':
    sys.exit(main())
