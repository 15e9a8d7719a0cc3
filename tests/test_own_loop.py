"""An agent in loops that others wrote, and the widget of imagined play in a real JupyterLab, driven by keys."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings

import numpy as np
import pytest
from common import ROOT, surroundings

from aif_atari.own_loop import load_pretrained_agent


def test_stable_baselines_evaluates_it():
    "The evaluation of Stable-Baselines3 takes the agent for a model of its own."
    sb3 = pytest.importorskip('stable_baselines3', reason='needs stable-baselines3')
    import gymnasium

    envs = sb3.common.vec_env.DummyVecEnv(
        [lambda: gymnasium.make('ALE/Breakout-v5', max_num_frames_per_episode=800)] * 2
    )
    agent = load_pretrained_agent('breakout', envs, choose_by='habit')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that the games are not wrapped in a monitor
        returns, lengths = sb3.common.evaluation.evaluate_policy(agent, envs, 4, return_episode_rewards=True)
    assert len(returns) == 4
    assert max(lengths) <= 201
    assert np.mean(returns) >= 3  # random play makes 1.2 in a whole game


CELLS = [
    """from aif_atari.agent import AsTrainedConfig, acting_config, fresh_game, load_agent
from aif_atari.checkpoints import pretrained_path
from aif_atari.data import play
from aif_atari.imagined_play import ImaginedGame, ImaginedPlay, plot_imagined

agent = load_agent(pretrained_path('breakout', 'Agent'))
act = acting_config(agent, AsTrainedConfig(choose_by='habit'))
game = fresh_game(agent, 4_000_042, num_episodes=1, num_envs=1, max_steps=80)
played = ImaginedPlay(ImaginedGame(agent, play(game, agent.mcts_agent(act), progress=False), row=24))
played.box""",
    """seconds = played.times[-1] - played.times[0]
print('actions', [s.action for s in played.game.steps], 'fps', (len(played.times) - 1) / seconds)
plot_imagined(played.game);""",
]


def free_port():
    "A port that nobody listens on."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def jupyter_lab(folder):
    "A JupyterLab that serves a folder: its address."
    port = free_port()
    words = f'--no-browser --allow-root --port {port} --ServerApp.root_dir {folder} --IdentityProvider.token='
    env = surroundings(JUPYTER_CONFIG_DIR=str(folder / 'cfg'), JUPYTER_DATA_DIR=str(folder / 'data'))
    command = [sys.executable, '-m', 'jupyter', 'lab', *words.split()]
    with open(folder / 'lab.log', 'w', encoding='utf-8') as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=folder, start_new_session=True)
        try:
            address = f'http://127.0.0.1:{port}'
            for _ in range(120):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f'{address}/api', timeout=2).close()
                    break
                time.sleep(0.5)
            yield address
        finally:
            server.terminate()
            server.wait(30)


def test_the_widget_is_played_with_keys_in_jupyterlab(tmp_path):
    "Play is pressed, arrow keys are held, and the imagined game moves under them, several steps a second."
    for library in ('jupyterlab', 'anywidget', 'playwright'):
        pytest.importorskip(library, reason=f'needs {library}')
    from playwright.sync_api import sync_playwright

    browser_path = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not browser_path:
        pytest.skip('needs Chromium or Chrome')
    cell = dict(cell_type='code', execution_count=None, metadata={}, outputs=[])
    kernel = dict(name='python3', display_name='Python 3', language='python')
    cells = [cell | dict(id=f'c{i}', source=source) for i, source in enumerate(CELLS)]
    notebook = dict(cells=cells, metadata=dict(kernelspec=kernel), nbformat=4, nbformat_minor=5)
    (tmp_path / 'play.ipynb').write_text(json.dumps(notebook), encoding='utf-8')
    with jupyter_lab(tmp_path) as address, sync_playwright() as p:
        browser = p.chromium.launch(executable_path=browser_path, args=['--no-sandbox'])
        page = browser.new_page(viewport=dict(width=1200, height=1100))
        page.goto(f'{address}/lab/tree/play.ipynb')
        page.locator('.jp-Cell').first.click(timeout=90_000)
        page.keyboard.press('Shift+Enter')
        page.locator('.aif-keys').wait_for(timeout=120_000)
        page.locator('button:has-text("play")').last.click()
        page.locator('.aif-keys').click()
        for key in ('ArrowRight', 'ArrowLeft'):
            page.keyboard.down(key)
            page.wait_for_timeout(1500)
            page.keyboard.up(key)
        page.wait_for_timeout(1500)
        page.locator('button:has-text("play")').last.click()
        page.screenshot(path=os.environ.get('SCREENSHOT') or tmp_path / 'played.png')
        page.locator('.jp-Cell').nth(1).click()
        page.keyboard.press('Shift+Enter')
        said = page.locator('.jp-Cell').nth(1).get_by_text('fps')
        said.last.wait_for(timeout=60_000)
        page.wait_for_function("document.body.innerText.match(/actions \\[.*fps [0-9.]+/)", timeout=60_000)
        text = page.evaluate("document.body.innerText.match(/actions (\\[.*?\\]) fps ([0-9.]+)/).slice(1)")
        browser.close()
    actions, fps = json.loads(text[0]), float(text[1])
    right, left = actions.index(2), actions.index(3)  # Breakout: no-op, fire, right, left
    assert right < left
    assert actions.count(2) >= 5
    assert actions.count(3) >= 5
    assert actions[-1] == 0  # no key is held any more
    assert fps > 5, fps


def test_the_ten_lines_of_the_front_page_run():
    "The loop that README shows runs as it stands, in a game that is cut short."
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    first = text.index('import gymnasium')
    code = '\n'.join(re.findall(r'^``` ?python\n(.*?)^```', text[first - 200 :], re.S | re.M)[:2])
    made = "gymnasium.make('ALE/Breakout-v5'"
    assert made in code
    found = {}
    exec(code.replace(made, f'{made}, max_num_frames_per_episode=1600'), found)
    assert found['over']
    assert found['score'] >= 4  # random play makes 1.2 in a whole game
