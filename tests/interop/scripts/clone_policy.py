"""Behavioural cloning with nothing but numpy: logistic regression on CartPole."""
import json

import gymnasium as gym
import numpy as np

import minari

SEED = 0


def teacher(obs):
    return int(obs[2] + 0.3 * obs[3] + 0.02 * obs[0] > 0)


def demonstrations():
    env = minari.DataCollector(gym.make("CartPole-v1", max_episode_steps=100))
    for i in range(8):
        obs, _ = env.reset(seed=i)
        done = False
        while not done:
            obs, _, terminated, truncated, _ = env.step(teacher(obs))
            done = terminated or truncated
    dataset = env.create_dataset("bc/cartpole-teacher-v0", algorithm_name="teacher")
    env.close()
    return dataset


def train(X, y, epochs=40, lr=0.5, batch=64):
    rng = np.random.default_rng(SEED)
    w, b = np.zeros(X.shape[1]), 0.0
    for _ in range(epochs):
        for idx in np.array_split(rng.permutation(len(X)), len(X) // batch):
            p = 1 / (1 + np.exp(-(X[idx] @ w + b)))
            w -= lr * X[idx].T @ (p - y[idx]) / len(idx)
            b -= lr * float(np.mean(p - y[idx]))
    return w, b


def evaluate(env, w, b, mean, std):
    scores = []
    for seed in range(1000, 1003):
        obs, _ = env.reset(seed=seed)
        total, done = 0.0, False
        while not done:
            obs, r, te, tr, _ = env.step(int((obs - mean) / std @ w + b > 0))
            total, done = total + float(r), te or tr
        scores.append(total)
    return scores


dataset = demonstrations()
X = np.concatenate([ep.observations[:-1] for ep in dataset]).astype(np.float64)
y = np.concatenate([ep.actions for ep in dataset]).astype(np.float64)
mean, std = X.mean(axis=0), X.std(axis=0)
w, b = train((X - mean) / std, y)
accuracy = float(np.mean(((X - mean) / std @ w + b > 0) == (y > 0.5)))
scores = evaluate(dataset.recover_environment(), w, b, mean, std)
print(json.dumps({"n": len(X), "w": w.tolist(), "b": b, "accuracy": accuracy, "scores": scores}))
