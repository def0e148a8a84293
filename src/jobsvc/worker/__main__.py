"""`python -m jobsvc.worker MODULE ...`: the same as `jobsvc work`."""

import sys

from jobsvc.worker.command import main

sys.exit(main())
