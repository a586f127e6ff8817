"""`python -m eventcore.cli` is the program `eventcore`."""

import sys

from eventcore.cli.main import main

sys.exit(main())
