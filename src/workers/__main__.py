"""`python -m workers MODULE ...`: the same as `jobsvc work`."""

import sys

from workers.command import main

sys.exit(main())
