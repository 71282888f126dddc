"""What a finding says once the damage is repaired: what was done, not what to do."""

from __future__ import annotations

import re
from dataclasses import replace

from .types import Finding

_REMEDY = re.compile(r"[.;,]? *[Rr]un (check|`hsa-memory check)[^()]*$")
_DONE = {
    "corrupt-store": "written again from what the sessions say",
    "corrupt-catalog": "rebuilt from its good rows and from the sessions",
    "unlisted-session": "listed again",
    "unfinished-deletion": "finished",
    "corrupt-index": "the indexes were built anew",
    "corrupt-head": "written anew",
    "corrupt-tail": "dropped, to be computed again",
    "corrupt-chunk": "dropped with the chunks after it, to be encoded again",
}


def told(finding: Finding) -> Finding:
    """The finding; if it is repaired, its remedy is replaced by what was done."""
    if not finding.repaired or finding.kind == "lost-messages":
        return finding
    detail = _REMEDY.sub("", finding.detail)
    if done := _DONE.get(finding.kind):
        detail = f"{detail}; {done}"
    return replace(finding, detail=detail)
