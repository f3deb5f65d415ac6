"""``python -m datasets.show TASK OUT.png``: the command's name only; what it does is ``search.show``'s."""

import sys

from search.show import main

if __name__ == "__main__":
    sys.exit(main())
