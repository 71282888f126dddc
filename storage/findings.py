"""What is found damaged, and what is said of it once it is repaired: what was done, not what to
do."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

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


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and whether that was mended."""

    path: str
    kind: str
    detail: str
    repaired: bool = False

    def as_finding(self, session: str, root: str) -> Finding:
        """The same with the path relative to the store's root."""
        # What lies on a server is named as it is.
        path = self.path if "://" in self.path else os.path.relpath(self.path, root)
        return Finding(
            session=session, path=path, kind=self.kind, detail=self.detail, repaired=self.repaired
        )


def told(finding: Finding) -> Finding:
    """The finding; if it is repaired, its remedy is replaced by what was done."""
    if not finding.repaired or finding.kind == "lost-messages":
        return finding
    detail = _REMEDY.sub("", finding.detail)
    if done := _DONE.get(finding.kind):
        detail = f"{detail}; {done}"
    return replace(finding, detail=detail)
