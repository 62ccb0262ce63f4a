"""The notebook of the demo, run from top to bottom."""

import base64
import io
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / 'demo' / 'inference.ipynb'


def outputs_of(notebook):
    return [
        output for cell in notebook.cells if cell.cell_type == 'code' for output in cell.outputs
    ]


def pictures_of(notebook):
    """Sizes of the pictures that cells show."""
    found = []
    for output in outputs_of(notebook):
        data = output.get('data', {}).get('image/png')
        if data:
            with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
                found.append(picture.size)
    return found


def test_notebook_runs_and_shows_what_is_stored():
    stored = nbformat.read(NOTEBOOK, as_version=4)
    fresh = nbformat.read(NOTEBOOK, as_version=4)
    for cell in fresh.cells:
        if cell.cell_type == 'code':
            cell.outputs = []
    client = NotebookClient(
        fresh, timeout=300, resources=dict(metadata=dict(path=str(NOTEBOOK.parent)))
    )
    client.execute()  # raises where a cell does
    assert not any(o.output_type == 'error' for o in outputs_of(fresh))
    text = ''.join(o.get('text', '') for o in outputs_of(fresh))
    assert 'thing' in text and 'median depth' in text
    assert 'cloud.html' in text and 'panels.png' in text
    # what is stored was made by these cells
    sizes = pictures_of(fresh)
    assert len(sizes) == 2 and pictures_of(stored) == sizes
    results = [
        o.data['text/plain']
        for o in outputs_of(fresh)
        if 'PanDepthResult' in o.get('data', {}).get('text/plain', '')
    ]
    assert len(results) == 2 and 'a guess' in results[1]
