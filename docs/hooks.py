"""Hooks of mkdocs: what the site has beside the pages of this folder.

- The README is its first page.
- ``reference/ROOM.md`` shows the docstrings of every public module of a room of the package.
- A page may link to a file of the repository, as it would on a code host. A module of the package
  then leads to its place in the reference; any other file becomes a page under ``source/``.

A link to a file that does not exist stays as it is, and ``mkdocs build --strict`` fails.
"""

import os
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = {'.py': 'python', '.yml': 'yaml', '.toml': 'toml', '.sh': 'bash'}
LINK = re.compile(r'(\[(?:!\[[^\]]*\]\([^)]*\)|[^\]])*\])\(([^)\s#]+)(#[^)\s]*)?\)')
ROLE = re.compile(r':(?:attr|class|data|func|meth|mod):(?=<code|`)')
ROOMS = {
    'apis': 'Inference',
    'models': 'Models',
    'datasets': 'Data sets and transforms',
    'evaluation': 'Evaluation',
    'visualization': 'Pictures',
    'converters': 'Converters',
    'export': 'Export',
    'engine': 'Runtime',
    'structures': 'Structures',
    'geometry': 'Geometry',
    'root': 'Files, errors, registries',
}


def modules(room):
    """Names of the public modules of a room."""
    package = ROOT / 'pandepth_mm'
    files = package.glob('*.py') if room == 'root' else (package / room).rglob('*.py')
    names = (f.relative_to(ROOT).with_suffix('') for f in files if f.name[0] != '_')
    return sorted('.'.join(name.parts) for name in names)


def repository_file(page, target):
    """File of the repository that a link leads to, relative to its root, or None."""
    name = posixpath.normpath(posixpath.join('docs', page, '..', target))
    inside = name.startswith(('docs/', '../', '/')) or ':' in target
    shown = Path(name).suffix in LANGUAGES and (ROOT / name).is_file()
    return name if shown and not inside else None


def place(name):
    """Page of the site that shows a file of the repository, and its anchor."""
    parts = Path(name).with_suffix('').parts
    room = 'root' if len(parts) == 2 else parts[1]
    module = '.'.join(parts)
    if parts[0] == 'pandepth_mm' and module in modules(room):
        return f'reference/{room}.md', f'#{module}'
    return f'source/{name}.md', ''


def on_config(config):
    """Put the reference at the end of the navigation."""
    config['nav'].append(
        {'Reference': [{title: f'reference/{room}.md'} for room, title in ROOMS.items()]}
    )
    return config


def on_files(files, config):
    """Add the first page, the reference, and the files that are linked."""
    readme = (ROOT / 'README.md').read_text().replace('](docs/images/', '](images/')
    page = LINK.sub(from_docs, readme)
    files.append(File.generated(config, 'index.md', content=page))
    for room, title in ROOMS.items():
        lines = [f'# {title}'] + [f'::: {module}' for module in modules(room)]
        files.append(
            File.generated(config, f'reference/{room}.md', content='\n\n'.join(lines) + '\n')
        )
    for file in files.documentation_pages():
        for _, target, _ in LINK.findall(file.content_string):
            name = repository_file(file.src_uri, target)
            path = name and place(name)[0]
            if path and files.get_file_from_path(path) is None:
                files.append(File.generated(config, path, content=source_page(name)))
    return files


def from_docs(match):
    """A link of the README as from docs/; of a file that the site cannot show, its text."""
    target = match[2]
    if ':' in target or target.startswith('images/'):
        return match[0]
    if not target.startswith('docs/') and Path(target).suffix not in LANGUAGES:
        return match[1][1:-1]
    return f'{match[1]}({posixpath.relpath(target, "docs")}{match[3] or ""})'


def source_page(name):
    """Page that shows a file of the repository."""
    text = (ROOT / name).read_text()
    language = LANGUAGES[Path(name).suffix]
    return f'---\nsearch:\n  exclude: true\n---\n\n# {name}\n\n~~~~~{language}\n{text}~~~~~\n'


def on_page_markdown(markdown, page, config, files):
    """Lead the links to those pages."""

    def replace(match):
        name = repository_file(page.file.src_uri, match[2])
        if name is None:
            return match[0]
        path, anchor = place(name)
        start = os.path.dirname(page.file.src_uri) or '.'
        return f'{match[1]}({posixpath.relpath(path, start)}{match[3] or anchor})'

    return LINK.sub(replace, markdown)


def on_page_content(html, page, config, files):
    """Drop the roles of reStructuredText that docstrings have."""
    return ROLE.sub('', html)
