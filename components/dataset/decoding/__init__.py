"""Picture files to pixels in TensorFlow's operations alone: a server decodes as training does.

Each format first says from its header how large it is and how it lies; what is too large is never
decoded. What TensorFlow's own decoders pass over is looked for here: missing rows, damage, EXIF
orientation, palettes.
"""
