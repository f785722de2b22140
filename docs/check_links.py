"""Check that every relative link in the documentation leads to a file, and every anchor to a heading.

Exits with 1 after printing the links that lead nowhere. Links to other sites are left alone: a check that needs the
network fails for reasons that are not ours.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^]]*]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes from the headings of a page."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(link: str, page: Path) -> bool:
    """Whether the file that a page's relative link names exists, and its heading if the link names one."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in anchors(target.read_text())


def broken_links(page: Path) -> list[str]:
    """The links of one page that lead nowhere."""
    links = _LINK.findall(_FENCE.sub("", page.read_text()))
    return [link for link in links if not re.match(r"[a-z]+:", link) and not leads_somewhere(link, page)]


def main() -> int:
    """Check all pages; 1 when something is wrong."""
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    problems = [f"{page.relative_to(ROOT)}: {link}" for page in pages for link in broken_links(page)]
    sys.stdout.write("\n".join(problems or [f"the links of {len(pages)} pages lead somewhere"]) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
