"""``python -m segapp.cli``: the same as the command ``segapp``."""

import sys

from segapp.cli.main import main

sys.exit(main())
