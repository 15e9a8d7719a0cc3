"""Everything that pip needs to know is written in settings.ini; this file only reads it."""

import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithResults(build_py):
    "Puts the results that the chapters quote into the wheel. An editable install reads them where they are."

    def run(self):
        super().run()
        if not self.editable_mode:
            home, hidden = Path(self.build_lib, 'aif_atari', 'results'), shutil.ignore_patterns('.*', 'earlier_*')
            shutil.copytree('results', home, ignore=hidden, dirs_exist_ok=True)


parser = ConfigParser(delimiters=['='])
parser.read('settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']

oldest, newest = (int(cfg[name].split('.')[1]) for name in ('min_python', 'newest_python'))

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=Path('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    license='Apache-2.0',
    keywords=cfg['keywords'],
    packages=find_packages(include=['aif_atari', 'aif_atari.*']),
    include_package_data=True,
    cmdclass=dict(build_py=BuildWithResults),
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg['requirements'].split(),
    extras_require={
        name.removesuffix('_requirements'): cfg[name].split() for name in cfg if name.endswith('_requirements')
    },
    entry_points={
        'console_scripts': cfg['console_scripts'].split(),
        'nbdev': [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"],
    },
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Natural Language :: English',
        'License :: OSI Approved :: Apache Software License',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in range(oldest, newest + 1)),
    ],
)
