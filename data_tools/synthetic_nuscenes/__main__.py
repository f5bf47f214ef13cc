"""`python -m data_tools.synthetic_nuscenes`."""

import sys

from data_tools.synthetic_nuscenes.cli import main

if __name__ == '__main__':
    sys.exit(main())
