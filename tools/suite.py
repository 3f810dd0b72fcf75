"""The command ``looc suite`` as a file."""

import sys

from looc_mm.cli import main

if __name__ == '__main__':
    sys.exit(main(['suite', *sys.argv[1:]]))
