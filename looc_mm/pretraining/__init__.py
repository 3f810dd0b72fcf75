"""From a folder of pictures to a training config: what is in the folder, which settings suit it, how long it takes."""
