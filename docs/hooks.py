"""Hook of mkdocs: links to files of the repository work in the site too.

A page may link to ``../configs/x.py``, as it would on a code host. Each file
that is linked so becomes a page of the site, under ``source/``, and the
links lead there. A link to a file that does not exist stays as it is, and
``mkdocs build --strict`` fails.
"""

import os
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = {'.py': 'python', '.yml': 'yaml', '.toml': 'toml', '.sh': 'bash'}
LINK = re.compile(r'(\[[^\]]*\])\(([^)\s#]+)\)')
ROLE = re.compile(r':(?:attr|class|data|func|meth|mod):(?=<code|`)')


def repository_file(page, target):
    """File of the repository a link leads to, or None.

    Args:
        page: Path of the page within ``docs/``.
        target: Target of the link.

    Returns:
        The path relative to the root of the repository. None for a target
        within ``docs/``, and for one that cannot be shown.
    """
    name = posixpath.normpath(posixpath.join('docs', page, '..', target))
    inside = name.startswith(('docs/', '../', '/')) or ':' in target
    shown = Path(name).suffix in LANGUAGES and (ROOT / name).is_file()
    return name if shown and not inside else None


def on_files(files, config):
    """Add a page for each file that is linked."""
    for file in files.documentation_pages():
        text = Path(file.abs_src_path).read_text()
        for _, target in LINK.findall(text):
            name = repository_file(file.src_uri, target)
            if name and files.get_file_from_path(f'source/{name}.md') is None:
                files.append(source_page(name, config))
    return files


def source_page(name, config):
    """Page that shows a file of the repository."""
    text = (ROOT / name).read_text()
    language = LANGUAGES[Path(name).suffix]
    return File.generated(
        config,
        f'source/{name}.md',
        content=f'---\nsearch:\n  exclude: true\n---\n\n# {name}\n\n~~~~~{language}\n{text}~~~~~\n',
    )


def on_page_markdown(markdown, page, config, files):
    """Lead the links to those pages."""

    def replace(match):
        name = repository_file(page.file.src_uri, match[2])
        if name is None:
            return match[0]
        start = os.path.dirname(page.file.src_uri) or '.'
        return f'{match[1]}({posixpath.relpath(f"source/{name}.md", start)})'

    return LINK.sub(replace, markdown)


def on_page_content(html, page, config, files):
    """Drop the roles of reStructuredText that docstrings have."""
    return ROLE.sub('', html)
