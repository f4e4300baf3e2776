"""What a served model can be asked: names of its signatures, of their inputs and outputs.

`signatures` makes them; whoever asks needs no more than these names, and no TensorFlow.
"""

SERVING = "serving_default"
MASKS_AND_CONFIDENCE = "serving_masks_and_confidence"
FROM_EXAMPLES = "serving_examples"
FROM_TENSORS = "serving_tensors"
LOGITS_FROM_TENSORS = "serving_logits"
EVALUATE = "evaluate"
SLICES = "slices"

# Inputs and outputs. Names that end in `_bytes` travel as base64 in TF Serving's REST interface.
IMAGE_BYTES = "image_bytes"  # string [B], JPEG, PNG, GIF or BMP files of any sizes
MASK_BYTES = "mask_bytes"  # string [B], grey PNG of class ids, as large as the picture
ERROR = "error"  # string [B], empty where the mask is there, else what was expected and what came
CLASS_IDS = "class_ids"  # int32 [B, C], the classes in the mask, growing, then -1
MEAN_CONFIDENCE = "mean_confidence"  # float32 [B], probability of the chosen class; 0 for an error
CONFIDENCE_BYTES = "confidence_bytes"  # string [B], grey PNG, 255 times those probabilities
EXAMPLES = "examples"  # string [B], serialized tf.train.Example with the official keys
# The next three as DeepLab's own export names them (export_model.py in tensorflow/models).
IMAGE_TENSOR = "ImageTensor"  # uint8 [B, H, W, 3], RGB, upright
PREDICTIONS = "SemanticPredictions"  # int64 [B, H, W], class ids
PROBABILITIES = "SemanticProbabilities"  # float32 [B, H, W, C]
LOGITS = "logits"  # float32 [B, H, W, C], enlarged scores, of which those are the softmax
CONFUSION_MATRIX = "confusion_matrix"  # int64 [B, C * C], rows truth, columns prediction
LABELS_OUT_OF_RANGE = "labels_out_of_range"  # int64 [B], pixels
UNDECODABLE = "undecodable"  # int64 [B], 1 where the picture could not be decoded
