"""What the service's media types are, for schemathesis."""

import schemathesis

# Both are bytes as they are.
BYTES = "application/octet-stream"
schemathesis.serializer.alias(["application/offset+octet-stream"], BYTES)


@schemathesis.deserializer(BYTES, "multipart/byteranges")
def deserialize(_context, response):
    return response.content
