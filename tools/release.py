"""A release: `python tools/release.py 0.4.0` sets the version everywhere and dates the changelog.

It refuses a tree with changes, a version that exists or is not above the present one, and a changelog with nothing new.
`python tools/release.py --tag v0.4.0` checks that a tag names the version that the files have, as the workflow does.
"""

import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = {  # file -> where its version stands
    'settings.ini': r'^version = (.*)$',
    'CITATION.cff': r'^version: (.*)$',
    'aif_atari/__init__.py': r'^__version__ = "(.*)"$',
}


def refuse(sentence):
    "End with one sentence."
    print(f'release: {sentence}', file=sys.stderr)
    sys.exit(2)


def read(name):
    "The text of a file of the repository."
    return (ROOT / name).read_text(encoding='utf-8')


def version_in(name):
    "The version that a file names."
    found = re.search(VERSION[name], read(name), re.M)
    return found[1] if found else ''


def numbers(version):
    "A version as numbers, to be compared."
    if not re.fullmatch(r'\d+\.\d+\.\d+', version):
        refuse(f'A version has three numbers, such as 0.4.0, not {version!r}.')
    return tuple(int(x) for x in version.split('.'))


def git(*args):
    "What git prints."
    return subprocess.run(['git', *args], cwd=ROOT, check=True, capture_output=True, encoding='utf-8').stdout


def section(heading):
    "What the changelog says under a heading, or None where it has no such heading."
    found = re.search(rf'^## {re.escape(heading)}[^\n]*\n(.*?)(?=^## |\Z)', read('CHANGELOG.md'), re.M | re.S)
    return found[1].strip() if found else None


def check_release(version):
    "Refuse a version that can't be released, before anything is written."
    present = version_in('settings.ini')
    if numbers(version) <= numbers(present):
        refuse(f'{version} is not above {present}, the present version.')
    if git('tag', '--list', f'v{version}').strip() or section(version) is not None:
        refuse(f'The version {version} exists already.')
    if not section('Unreleased'):
        refuse('CHANGELOG.md has nothing under Unreleased.')
    if git('status', '--porcelain').strip():
        refuse('The tree has changes that are not committed.')


def replaced(text, pattern, line):
    "The text with the one line that fits a pattern replaced."
    text, count = re.subn(pattern, line, text, flags=re.M)
    if count != 1:
        refuse(f'{count} lines are like {pattern}, not one.')
    return text


def new_texts(version, date):
    "What the files will say."
    citation = replaced(read('CITATION.cff'), VERSION['CITATION.cff'], f'version: {version}')
    return {
        'settings.ini': replaced(read('settings.ini'), VERSION['settings.ini'], f'version = {version}'),
        'CITATION.cff': replaced(citation, r'^date-released: .*$', f'date-released: "{date}"'),
        'CHANGELOG.md': replaced(read('CHANGELOG.md'), r'^## Unreleased$', f'## Unreleased\n\n## {version} ({date})'),
    }


def release(version):
    "Write the version into all files; where nbdev fails, all are as before."
    check_release(version)
    texts = new_texts(version, datetime.now(timezone.utc).date().isoformat())
    before = {name: read(name) for name in texts}
    for name, text in texts.items():
        (ROOT / name).write_text(text, encoding='utf-8')
    done = subprocess.run(['nbdev_export'], cwd=ROOT)  # writes the version into __init__.py
    if done.returncode or version_in('aif_atari/__init__.py') != version:
        for name, text in before.items():
            (ROOT / name).write_text(text, encoding='utf-8')
        refuse('nbdev_export failed; nothing was changed.')
    print(f'Version {version}. Next: git commit -am "Version {version}" && git tag v{version} && git push --tags')


def check_tag(tag):
    "Refuse a tag that does not name the version of every file and a dated part of the changelog."
    for name in VERSION:
        if tag != f'v{version_in(name)}':
            refuse(f'The tag is {tag}, and {name} has version {version_in(name)}.')
    if not section(tag.removeprefix('v')):
        refuse(f'CHANGELOG.md has nothing under {tag.removeprefix("v")}.')


if __name__ == '__main__':
    if len(sys.argv) == 3 and sys.argv[1] == '--tag':
        check_tag(sys.argv[2])
    elif len(sys.argv) == 2:
        release(sys.argv[1])
    else:
        refuse('Name the version: python tools/release.py 0.4.0')
