"""Write the table of what each type and field requires of a token, from Shopify's own words.

    python scripts/generate_shopify_access.py required_access_2026-10.json

The words come from the schema that Shopify hands to its own developer tools: "`read_orders` access scope or
`read_quick_sale` access scope. Also: ...". One requirement is written `read_orders|read_quick_sale`: any of
these will do. What speaks of people's permissions, plans or mutations alone is no requirement of a token.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).resolve().parent.parent / "tests/emulators/shopify/access.json"
SCOPE = re.compile(r"`((?:read|write)_[a-z_]+)`")


def requirements(words: str) -> Iterator[str]:
    """Yield the requirements in one sentence of Shopify's, each of them necessary."""
    main, _, also = words.partition("Also:")
    main = main.partition("for queries")[0]
    for part in re.split(r"as well as any of|and \(", main):
        if scopes := list(dict.fromkeys(SCOPE.findall(part))):
            yield "|".join(scopes)
    if scopes := re.findall(r"Requires the `(read_[a-z_]+)` access scope", also):
        yield "|".join(scopes)


def table(access: dict[str, Any]) -> dict[str, list[str]]:
    """Return types and fields (`Type.field`) by what they require; mutations left out."""
    found: dict[str, list[str]] = {}
    for kind, facts in access.items():
        if kind == "Mutation":
            continue
        words = {kind: facts.get("requiredAccess")}
        words |= {
            f"{kind}.{name}": field.get("requiredAccess") for name, field in facts.get("fields", {}).items()
        }
        for name, sentence in words.items():
            for requirement in requirements(sentence or ""):
                found.setdefault(requirement, []).append(name)
    return {requirement: sorted(found[requirement]) for requirement in sorted(found)}


def main() -> int:
    """Write the table."""
    access = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    lines = [f"{json.dumps(key)}: {json.dumps(names)}" for key, names in table(access).items()]
    OUTPUT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"written  {OUTPUT.name}: {len(lines)} requirements")
    return 0


if __name__ == "__main__":
    sys.exit(main())
