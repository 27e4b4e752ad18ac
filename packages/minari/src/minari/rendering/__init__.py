"""An episode as a video file: its own images, or those of a replay."""
