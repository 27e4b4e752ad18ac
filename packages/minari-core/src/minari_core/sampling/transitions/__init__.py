"""Transitions: single steps and several, and the goals that they are relabelled with."""
