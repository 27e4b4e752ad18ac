import json
import warnings

import gymnasium as gym
import minari
from minari.namespace import (
    create_namespace,
    delete_namespace,
    get_namespace_metadata,
    list_local_namespaces,
    namespace_hierarchy,
    update_namespace_metadata,
    validate_namespace,
)

log = []


def attempt(what, *args, **kwargs):
    try:
        log.append([what.__name__, what(*args, **kwargs)])
    except (ValueError, TypeError) as e:
        log.append([what.__name__, isinstance(e, ValueError), isinstance(e, TypeError)])


attempt(list_local_namespaces)
attempt(create_namespace, "lab", description="All of our robots", homepage="https://example.com")
attempt(create_namespace, "lab/arm/left")
attempt(create_namespace, "lab")
attempt(create_namespace, "wrong name!")
attempt(list_local_namespaces)
attempt(get_namespace_metadata, "lab")
attempt(get_namespace_metadata, "lab/arm")
attempt(update_namespace_metadata, "lab", description="Some", contact="me")
attempt(get_namespace_metadata, "lab")
attempt(get_namespace_metadata, "nowhere")
attempt(update_namespace_metadata, "nowhere", "text")
attempt(validate_namespace, "lab/arm")
attempt(validate_namespace, None)

env = minari.DataCollector(gym.make("CartPole-v1"))
env.reset(seed=0)
env.step(1)
env.create_dataset("lab/leg/right/walk-v0")
attempt(list_local_namespaces)
attempt(delete_namespace, "lab/leg/right")
attempt(delete_namespace, "lab/arm/left")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    attempt(delete_namespace, "lab/arm/left")
    log.append([w.category.__name__ == "UserWarning" or issubclass(w.category, UserWarning) for w in caught])
attempt(list_local_namespaces)
log.append(list(namespace_hierarchy("lab/leg/right")))
log.append(sorted(minari.list_local_datasets()))
minari.delete_dataset("lab/leg/right/walk-v0")
attempt(delete_namespace, "lab/leg/right")
attempt(list_local_namespaces)
print(json.dumps(log))
