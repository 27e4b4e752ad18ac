import json

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import minari
from minari import MinariDataset
from minari.data_collector.episode_buffer import EpisodeBuffer
from minari.dataset.minari_dataset import gen_dataset_id, parse_dataset_id
from minari.dataset.minari_storage import MinariStorage

outcomes = []


def expect(kind, text, function, *args, **kwargs):
    """Like pytest.raises(kind, match=text)."""
    try:
        function(*args, **kwargs)
    except kind as e:
        outcomes.append(text in str(e))
    else:
        outcomes.append("nothing raised")


class Strange(spaces.Space):
    pass


OBS, ACT = spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(2)
EP = EpisodeBuffer(observations=np.zeros((3, 2), np.float32), actions=np.array([0, 1]), rewards=[0.0, 1.0],
                   terminations=[False, True], truncations=[False, False], infos={})
ds = minari.create_dataset_from_buffers("err/a-v0", [EP], observation_space=OBS, action_space=ACT)

expect(FileNotFoundError, "Dataset err/b-v0 not found locally at", minari.load_dataset, "err/b-v0")
expect(FileNotFoundError, "Use download=True to download the dataset", minari.load_dataset, "err/b-v0")
expect(ValueError, "A Minari dataset with ID err/a-v0 already exists and it cannot be overridden",
       minari.create_dataset_from_buffers, "err/a-v0", [EP], observation_space=OBS, action_space=ACT)
expect(ValueError, "Both observation space and action space must be provided, if env is None",
       minari.create_dataset_from_buffers, "err/c-v0", [EP])
expect(ValueError, "Malformed dataset ID", parse_dataset_id, "no version!")
expect(ValueError, "Unrecognized type", MinariDataset, 5)
expect(ValueError, "doesn't exist", MinariStorage.read, "/nowhere/at/all")
expect(ValueError, "Environment cannot be recovered when env_spec is None", ds.recover_environment)
expect(ValueError, "Reference score not provided for dataset err/a-v0",
       minari.get_normalized_score, ds, np.ones(2))
expect(ValueError, "You are not allowed to update values for", ds.storage.update_metadata, {"dataset_id": "z-v0"})
expect(ValueError, "No storage implemented for pickle", minari.create_dataset_from_buffers, "err/d-v0", [EP],
       observation_space=OBS, action_space=ACT, data_format="pickle")
expect(ValueError, "A dataset is already available at", MinariStorage.new, ds.storage.data_path, OBS, ACT)
expect(ValueError, "Since env_spec is not specified", MinariStorage.new, ds.storage.data_path.parent / "x")
expect(NotImplementedError, "No serialization method available for", minari.serialization.serialize_space,
       Strange())
expect(IndexError, "", lambda: ds[7])
expect(ValueError, "", lambda: ds.sample_episodes(3))
expect(AttributeError, "", lambda: setattr(ds[0], "rewards", None))
env2 = minari.create_dataset_from_buffers("err/env-v0", [EP], env=gym.make("CartPole-v1"), observation_space=OBS)
expect(ValueError, "", minari.combine_datasets, [ds, env2], "err/mixed-v0")
outcomes += [parse_dataset_id("a/b/c-d-v3"), parse_dataset_id("x-v0"), gen_dataset_id("n", "d", 2),
             gen_dataset_id(None, "d"), sorted(minari.list_local_datasets())]
print(json.dumps(outcomes))
