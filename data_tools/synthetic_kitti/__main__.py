"""`python -m data_tools.synthetic_kitti`."""

import sys

from data_tools.synthetic_kitti.cli import main

if __name__ == '__main__':
    sys.exit(main())
