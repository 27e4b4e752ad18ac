"""Translate the advice of error messages from Python to the command line.

The libraries' messages say what to do next by functions and arguments. Here, once for all messages
that a command can print, is how the same is done in a terminal.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

PROGRAM = ContextVar("PROGRAM", default="minari")
"""The name of the command line that is running."""

_WORDS = (
    (r"(?<=\s)not found locally at\b", "can't be found locally at"),
    (r"\blist_local_datasets\(\)", "`{program} list local`"),
    (r"\blist_remote_datasets\('([^']*)'\)", r"`{program} list \1`"),
    (r"\bdownload_dataset\(\)", "`{program} download`"),
    (r"\bdownload_dataset\('([^']*)'\)", r"`{program} download \1`"),
    (r"\bverify_remote_dataset\(\)", "`{program} verify`"),
    (r"\bupload_dataset\('([^']*)'\)", r"`{program} upload \1`"),
    (r"(?<=with\s)data_format='([^']*)'", r"--data-format \1"),
    (r"\blist_leftovers\(\)", "`{program} leftovers`"),
    (r"\brecover_recording\('([^']*)', dataset_name\)", r"`{program} recover \1 --name ID`"),
    (r"\bcollect_dataset with\b", "`{program} collect` with"),
    (r"\b(as|by) convert_dataset\b", r"\1 `{program} convert`"),
    (r"\blist_recoverable\(\)", "`{program} recover`"),
    (r"\bforce_download=True\b", "--force"),
    (r"\bresume=True\b", "--resume"),
    (r"pass resume=\['(\w+)', '(\w+)'\]", r"add --same \1 --same \2"),
    (r"pass resume=\[?'(\w+)'\]?", r"add --same \1"),
    (r"\bload_dataset opens\b", "`{program} show` opens"),
    (r"(?<=with )total_episodes=(\d+)", r"--episodes \1"),
    (r"\bskip_failed=True\b", "--skip-failed"),
    (r"\bremote_path='([^']*)'", r"--remote \1"),
    (r"\btoken='([^']*)'", r"--token \1"),
    (r"\b(prefix|token)=(?!\w)", r"--\1"),
    (r"(?<=give )data_format\b", "--data-format"),
    (r"(?<=leave )jpeg_encoding\b", "--jpeg"),
    (r"(?<=without )jpeg_encoding\b", "--jpeg"),
    (r"(?<!['\"])\bnum_envs\b", "--num-envs"),
    (r"(?<!['\"])\bepisode_timeout\b", "--episode-timeout"),
    (r"(?<!['\"])\bmax_episode_steps\b", "--max-episode-steps"),
    (r"(?<=collected with )record_infos\b|(?<=; )record_infos\b", "--record-infos"),
    (r"give observation_space and action_space, or another env\b", "give another --env"),
    (r"the environment, the policy or a step_data_callback\b", "the environment or the policy"),
    (r", or None\b", ", or leave it out"),
    (r"\b([Pp]ass|give) trust_entry_point=True\b", r"\1 --trust-entry-point"),
    (r"\bpass overwrite=True\b", "give --yes"),
    (
        r"\b([Gg]ive|with|or) (ends|fps|last_frame|last_step|next_observations|sidecar|task)"
        r"='?([^',;]+)'?",
        r"\1 --option \2=\3",
    ),
    (r"(?<=by )costs[=]", "--option costs"),
    (r"(?<=with\s)tables=False\b", "--option tables=no"),
    (r"(?<=give )fps\b", "--fps"),
    (r"\b([Pp]ass|give) trust_paths=True\b", r"\1 --trust-paths"),
    (r"\bskip_wrappers=\[?'([^']*)'\]? to leave it out", r"--skip-wrapper \1 to leave it out"),
    (r"\bas_json=True\b", "--option as_json=true"),
    (r"\bstep_infos=\(\)", "--no-step-infos"),
    (r"(?<=to\s)data_format='([^']*)'", r"--data-format \1"),
    (r"\bstep_infos names\b", "--step-info names"),
    (
        r"register a function that reads it by [\w.]+\('[^']*'\), or give .* as \S+=",
        "only a program that knows the type can read it",
    ),
    (
        r"register functions that write and read it by .*\.register, or give .*Gymnasium's\b",
        "only a program that registers functions which write and read it can keep it",
    ),
    (
        r"unless [\w.]*\bserialize_space\.register says how to write them",
        "unless a program registers functions that write and read them",
    ),
    (
        r"combine_datasets and convert_dataset take widen=True",
        "combine and convert take --widen",
    ),
)


def translate_advice(message: object) -> str:
    """Return a message with its functions and arguments replaced by commands and options.

    Example:
        >>> translate_advice("there is none; list_local_datasets() shows which there are")
        'there is none; `minari list local` shows which there are'
    """
    text = str(message)
    for pattern, words in _WORDS:
        text = re.sub(pattern, words.replace("{program}", PROGRAM.get()), text)
    return text
