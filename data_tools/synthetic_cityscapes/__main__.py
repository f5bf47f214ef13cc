"""`python -m data_tools.synthetic_cityscapes`."""

import sys

from data_tools.synthetic_cityscapes.cli import main

if __name__ == '__main__':
    sys.exit(main())
