"""Messages as callers send them, some of them with parts left as bytes: a part that is read in another way need not be made an object first."""

from typing import TypeVar

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from keepwell.v1 import decision_service_pb2

from server.errors import MalformedRequestError

Parsed = TypeVar("Parsed", bound=Message)
SEALED = {"DecideStreamRequest": "requests", "DecideRequest": "features"}


def parse(message: type[Parsed], data: bytes) -> Parsed:
    """Return a message; raises MalformedRequestError when the bytes are none of its type."""
    try:
        return message.FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequestError("the bytes are not the message that this method takes") from error


def message_class(descriptor: Descriptor) -> type[Message]:
    """Return the class that a method's requests are parsed by."""
    sealed = descriptor.full_name == STREAM_REQUEST.DESCRIPTOR.full_name
    return STREAM_REQUEST if sealed else GetMessageClass(descriptor)


def _seal(message: DescriptorProto, name: str) -> None:
    """Make a field `repeated bytes`, which lie on the wire as messages do; joined, they read as one, as protobuf merges messages."""
    (field,) = (field for field in message.field if field.name == name)
    if field.HasField("oneof_index"):
        _take_choice(message, field.oneof_index)
    sealed = FieldDescriptorProto(
        name=name, number=field.number, type=FieldDescriptorProto.TYPE_BYTES, label=FieldDescriptorProto.LABEL_REPEATED
    )
    field.CopyFrom(sealed)


def _take_choice(message: DescriptorProto, choice: int) -> None:
    """Take out the oneof of an optional field, which a repeated one cannot be in."""
    del message.oneof_decl[choice]
    for other in message.field:
        if other.HasField("oneof_index") and other.oneof_index > choice:
            other.oneof_index -= 1


def _add(pool: DescriptorPool, file: FileDescriptor) -> None:
    """Add a file to a pool, and first what it imports; what is to be sealed is sealed."""
    for imported in file.dependencies:
        _add(pool, imported)
    copy = FileDescriptorProto()
    file.CopyToProto(copy)
    for message in copy.message_type:
        if message.name in SEALED:
            _seal(message, SEALED[message.name])
    pool.AddSerializedFile(copy.SerializeToString())


_POOL = DescriptorPool()
_add(_POOL, decision_service_pb2.DESCRIPTOR)
STREAM_REQUEST, REQUEST = (
    GetMessageClass(_POOL.FindMessageTypeByName(message.DESCRIPTOR.full_name))
    for message in (decision_service_pb2.DecideStreamRequest, decision_service_pb2.DecideRequest)
)
