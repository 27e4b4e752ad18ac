# Drive the command line from a script, the way a nightly job would.
import json
import os
import subprocess
import sys

import gymnasium as gym
import minari

MINARI = os.path.join(os.path.dirname(sys.executable), "minari")


def run(*args, stdin=None):
    env = {**os.environ, "COLUMNS": "250", "TERM": "dumb", "NO_COLOR": "1"}
    p = subprocess.run([MINARI, *args], input=stdin, capture_output=True, text=True, env=env)
    return p.returncode, p.stdout + p.stderr


for name, n in [("cli/one-v0", 3), ("cli/two-v0", 4), ("cli/two-v1", 2), ("other-v0", 1)]:
    env = minari.DataCollector(gym.make("CartPole-v1"))
    for s in range(n):
        env.reset(seed=s)
        env.step(0), env.step(1), env.step(0)
    env.create_dataset(name, author="Night Job", algorithm_name="zigzag", code_permalink="https://x.example")
    env.close()

steps = []
code, text = run("list", "local")
steps.append([code, [name in text for name in ("cli/one-v0", "cli/two-v1", "other-v0", "Night Job")]])
code, text = run("list", "local", "--all", "--prefix", "cli")
steps.append([code, "cli/one-v0" in text, "cli/two-v1" in text, "other-v0" in text])
code, text = run("list", "local", "-a", "-p", "other-v0")
steps.append([code, "cli/" in text, "other-v0" in text])
code, text = run("show", "cli/one-v0")
steps.append([code] + [word in text for word in ("cli/one-v0", "zigzag", "Night Job", "CartPole-v1", "Discrete(2)")])
code, _ = run("combine", "cli/one-v0", "cli/two-v0", "--dataset-id=cli/sum-v0")
steps.append([code, minari.load_dataset("cli/sum-v0").total_episodes])
code, text = run("combine", "cli/one-v0", "cli/nine-v0", "--dataset-id", "cli/x-v0")
steps.append([code != 0, "cli/nine-v0" in text, "cli/x-v0" in minari.list_local_datasets()])
code, text = run("combine", "cli/one-v0", "cli/two-v0", "--dataset-id", "cli/sum-v0")
steps.append([code, "already exist" in text])
code, _ = run("delete", "cli/one-v0", stdin="n\n")
steps.append([code != 0, "cli/one-v0" in minari.list_local_datasets()])
code, text = run("delete", "cli/one-v0", "other-v0", stdin="y\n")
steps.append([code, text.count("deleted!"), sorted(minari.list_local_datasets())])
code, text = run("delete", "cli/one-v0", stdin="y\n")
steps.append([code != 0, "cli/one-v0" in text])
code, text = run("--version")
steps.append([code, f"Minari version: {minari.__version__}" in text])
code, _ = run("frobnicate")
steps.append([code])
print(json.dumps(steps))
