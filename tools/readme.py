"""README.md from nbs/index.ipynb: `python tools/readme.py` writes it. A test keeps the two in step."""

import re
from pathlib import Path

from execnb.nbio import read_nb

ROOT = Path(__file__).resolve().parent.parent
SITE = 'https://yezune.github.io/aif_atari'


def cell_text(cell):
    "A cell as Markdown: prose as it is, code in a fence unless `#| echo: false`, then its outputs; `#| hide`: nothing."
    if cell.cell_type != 'code':
        return cell.source
    if re.search(r'^#\|\s*hide', cell.source, re.M):
        return ''
    source = re.sub(r'^#\|.*\n?', '', cell.source, flags=re.M)
    parts = [] if re.search(r'^#\|\s*echo:\s*false', cell.source, re.M) else [f'```python\n{source}\n```']
    for out in cell.outputs:
        data = out.get('data', {})
        if 'text/markdown' in data:
            parts.append(''.join(data['text/markdown']))
        elif 'text' in out:
            parts.append('```\n' + ''.join(out['text']).rstrip() + '\n```')
    return '\n\n'.join(parts)


def at_home(text):
    "Links as they work from the top of the repository: to files in nbs/, and to pages that only the site has."
    text = re.sub(r'\]\((\w+\.ipynb|pictures/)', r'](nbs/\1', text)
    return re.sub(r'\]\((\w+)\.qmd', rf']({SITE}/\1.html', text)


def readme_text(root=ROOT):
    "What README.md should say."
    cells = [at_home(cell_text(c)) for c in read_nb(root / 'nbs' / 'index.ipynb').cells]
    note = '<!-- Made from nbs/index.ipynb by tools/readme.py: edit the notebook. -->'
    return '\n\n'.join([note, *filter(None, cells)]) + '\n'


if __name__ == '__main__':
    (ROOT / 'README.md').write_text(readme_text(), encoding='utf-8')
