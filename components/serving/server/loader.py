"""TensorFlow's own C++ loader of SavedModels, as TensorFlow Serving has it, by its C interface.

The library of the installed package is called without the package: a process that serves starts in
less than a second, and no Python of TensorFlow's hides what a server cannot load. Strings are owned
by TensorFlow's tensors and freed by the last of them, wherever in the graph it is held.
"""

import ctypes
import functools
import itertools
import math
import os
import weakref
from collections.abc import Mapping, Sequence

import numpy as np

from components.errors import ConfigError
from components.serving import protos
from components.serving.server.statuses import CODES, Refusal
from components.serving.tensors import DTYPES

_LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_cc.2.dylib")
_STRING = protos.DataType.DT_STRING


class _TString(ctypes.Structure):
    """`TF_TString`: 24 bytes, which the library alone looks into."""

    _fields_ = (("words", ctypes.c_uint64 * 3),)


class _Output(ctypes.Structure):
    """`TF_Output`."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _Buffer(ctypes.Structure):
    """`TF_Buffer`."""

    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("free", ctypes.c_void_p))


_Deallocator = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)

_POINTER, _INT, _SIZE, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_FUNCTIONS = {
    "TF_NewStatus": (_POINTER,),
    "TF_DeleteStatus": (None, _POINTER),
    "TF_GetCode": (_INT, _POINTER),
    "TF_Message": (_TEXT, _POINTER),
    "TF_NewBuffer": (ctypes.POINTER(_Buffer),),
    "TF_DeleteBuffer": (None, _POINTER),
    "TF_NewSessionOptions": (_POINTER,),
    "TF_DeleteSessionOptions": (None, _POINTER),
    "TF_NewGraph": (_POINTER,),
    "TF_DeleteGraph": (None, _POINTER),
    "TF_GraphOperationByName": (_POINTER, _POINTER, _TEXT),
    "TF_LoadSessionFromSavedModel": (
        *(_POINTER, _POINTER, _POINTER, _TEXT, _POINTER, _INT, _POINTER, _POINTER, _POINTER),
    ),
    "TF_CloseSession": (None, _POINTER, _POINTER),
    "TF_DeleteSession": (None, _POINTER, _POINTER),
    "TF_SessionRun": (
        *(None, _POINTER, _POINTER, _POINTER, _POINTER, _INT, _POINTER, _POINTER, _INT),
        *(_POINTER, _INT, _POINTER, _POINTER),
    ),
    "TF_AllocateTensor": (_POINTER, _INT, _POINTER, _INT, _SIZE),
    "TF_NewTensor": (
        *(_POINTER, _INT, _POINTER, _INT, _POINTER, _SIZE, _Deallocator, _POINTER),
    ),
    "TF_DeleteTensor": (None, _POINTER),
    "TF_TensorData": (_POINTER, _POINTER),
    "TF_TensorByteSize": (_SIZE, _POINTER),
    "TF_TensorType": (_INT, _POINTER),
    "TF_NumDims": (_INT, _POINTER),
    "TF_Dim": (ctypes.c_int64, _POINTER, _INT),
    "TF_StringInit": (None, _POINTER),
    "TF_StringCopy": (None, _POINTER, _TEXT, _SIZE),
    "TF_StringGetDataPointer": (_POINTER, _POINTER),
    "TF_StringGetSize": (_SIZE, _POINTER),
    "TF_StringDealloc": (None, _POINTER),
}  # fmt: skip


@functools.cache
def _library() -> ctypes.CDLL:
    """The library, with the types of the functions that are used.

    Raises:
        ConfigError: this build of TensorFlow has none.
    """
    folder = protos.package_folder()
    paths = [os.path.join(folder, name) for name in _LIBRARIES]
    path = next(filter(os.path.exists, paths), None)
    if path is None:
        raise ConfigError(
            f"expected {' or '.join(_LIBRARIES)} in {folder}; got neither; to fix, install the "
            "TensorFlow of requirements.lock"
        )
    library = ctypes.CDLL(path)
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class SavedModel:
    """A loaded SavedModel; freed with the last reference to it, so no request loses it.

    Attributes:
        signatures: `SignatureDef` by name, as the model has them.

    Raises:
        Refusal: it does not load; with TensorFlow's own code and words.
        ConfigError: there is no TensorFlow that could.
    """

    def __init__(self, folder: str):
        tf = _library()
        graph = tf.TF_NewGraph()
        options, meta_graph = tf.TF_NewSessionOptions(), tf.TF_NewBuffer()
        tags = (ctypes.c_char_p * 1)(b"serve")
        try:
            with _Status() as status:
                session = tf.TF_LoadSessionFromSavedModel(
                    options, None, os.fsencode(folder), tags, 1, graph, meta_graph, status.pointer
                )
            contents = meta_graph.contents
            serialized = ctypes.string_at(contents.data, contents.length)
        except BaseException:
            tf.TF_DeleteGraph(graph)
            raise
        finally:
            tf.TF_DeleteSessionOptions(options)
            tf.TF_DeleteBuffer(meta_graph)
        self._graph, self._session = graph, session
        weakref.finalize(self, _free, session, graph)
        self.signatures = dict(protos.MetaGraphDef.FromString(serialized).signature_def)

    def run(
        self,
        signature: protos.SignatureDef,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
    ) -> dict[str, np.ndarray]:
        """What a signature answers.

        Args:
            signature: one of `signatures`.
            inputs: an array for every input by its name, of its type.
            outputs: names of those that are wanted.

        Raises:
            Refusal: TensorFlow fails; with its code and words.
        """
        tf = _library()
        feeds = (_Output * len(inputs))(*(self._find(signature.inputs[n].name) for n in inputs))
        fetches = (_Output * len(outputs))(
            *(self._find(signature.outputs[n].name) for n in outputs)
        )
        given, found = (_POINTER * len(inputs))(), (_POINTER * len(outputs))()
        try:
            for index, (name, array) in enumerate(inputs.items()):
                given[index] = _to_tensor(array, signature.inputs[name].dtype)
            with _Status() as status:
                tf.TF_SessionRun(
                    *(self._session, None, feeds, given, len(inputs)),
                    *(fetches, found, len(outputs), None, 0, None, status.pointer),
                )
            return {n: _to_array(pointer) for n, pointer in zip(outputs, found, strict=True)}
        finally:
            for pointer in filter(None, itertools.chain(given, found)):
                tf.TF_DeleteTensor(pointer)

    def _find(self, tensor: str) -> _Output:
        operation, _, index = tensor.partition(":")
        pointer = _library().TF_GraphOperationByName(self._graph, operation.encode())
        if not pointer:
            raise Refusal(CODES[5], f"Tensor {tensor} not found in Graph")
        return _Output(pointer, int(index or 0))


class _Status:
    """A `TF_Status`; leaving the context raises what it holds."""

    def __enter__(self) -> "_Status":
        self.pointer = _library().TF_NewStatus()
        return self

    def __exit__(self, kind, error, trace) -> None:
        tf = _library()
        code, message = tf.TF_GetCode(self.pointer), tf.TF_Message(self.pointer)
        tf.TF_DeleteStatus(self.pointer)
        if kind is None and code:
            raise Refusal(CODES.get(code, CODES[2]), message.decode(errors="replace"))


def _free(session: int, graph: int) -> None:
    tf = _library()
    status = tf.TF_NewStatus()
    tf.TF_CloseSession(session, status)
    tf.TF_DeleteSession(session, status)
    tf.TF_DeleteStatus(status)
    tf.TF_DeleteGraph(graph)


# === Tensors ===

_strings: dict[int, ctypes.Array] = {}
"""Memory of string tensors by its address, while TensorFlow holds one of them."""


@_Deallocator
def _free_strings(address: int, length: int, argument: int) -> None:
    del length, argument
    tf = _library()
    strings = _strings.pop(address)
    for string in strings:
        tf.TF_StringDealloc(ctypes.byref(string))


def _to_tensor(array: np.ndarray, dtype: int) -> int:
    """A `TF_Tensor` with a copy of the array; its pointer."""
    tf = _library()
    dims = (ctypes.c_int64 * array.ndim)(*array.shape)
    if dtype != _STRING:
        array = np.asarray(array, DTYPES[dtype], order="C")
        tensor = tf.TF_AllocateTensor(dtype, dims, array.ndim, array.nbytes)
        ctypes.memmove(tf.TF_TensorData(tensor), array.ctypes.data, array.nbytes)
        return tensor
    # One more than there are, for an address of its own even without any.
    strings = (_TString * (array.size + 1))()
    for string, value in zip(strings, array.ravel(), strict=False):
        tf.TF_StringInit(ctypes.byref(string))
        tf.TF_StringCopy(ctypes.byref(string), value, len(value))
    address = ctypes.addressof(strings)
    _strings[address] = strings
    size = array.size * ctypes.sizeof(_TString)
    return tf.TF_NewTensor(dtype, dims, array.ndim, address, size, _free_strings, None)


def _to_array(tensor: int) -> np.ndarray:
    """A copy of what a `TF_Tensor` holds."""
    tf = _library()
    shape = [tf.TF_Dim(tensor, axis) for axis in range(tf.TF_NumDims(tensor))]
    dtype, data = tf.TF_TensorType(tensor), tf.TF_TensorData(tensor)
    if dtype not in DTYPES:
        name = protos.DataType.Name(dtype)
        raise Refusal(CODES[12], f"Conversion of tensors of type {name} is not supported")
    if dtype != _STRING:
        raw = ctypes.string_at(data, tf.TF_TensorByteSize(tensor)) if math.prod(shape) else b""
        return np.frombuffer(raw, DTYPES[dtype]).reshape(shape)
    values = np.empty(math.prod(shape), object)
    for index in range(len(values)):
        string = data + index * ctypes.sizeof(_TString)
        values[index] = ctypes.string_at(
            tf.TF_StringGetDataPointer(string), tf.TF_StringGetSize(string)
        )
    return values.reshape(shape)
