"""Sans-I/O codecs: bytes in → events out, values in → bytes out. No socket, no clock, no asyncio."""
