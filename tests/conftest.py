"""What all tests share."""
from __future__ import annotations

import os

# Networks that tests start look up no links: no test asks a machine outside. Those of previews say so themselves.
os.environ.setdefault("WATERCOOLER_LINK_PREVIEWS", "false")
