"""The listings of docs/extend.md, by the names of their files."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTINGS = dict(
    re.findall(
        r'^```python title="(\S+)"\n(.*?)^```',
        (ROOT / 'docs' / 'extend.md').read_text(),
        re.M | re.S,
    )
)


def write_listings(folder: Path) -> None:
    """Write the listings as files of a package outside of this one."""
    for name, text in LISTINGS.items():
        # the page says "configs/..." for the checkout
        (folder / name).write_text(text.replace("'configs/", f"'{ROOT}/configs/"))
