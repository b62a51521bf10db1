"""MQTT 3.1, 3.1.1 and 5.0 without I/O: `decoder.PacketDecoder` makes packets of bytes, `encoder.encode` the reverse.

``[MQTT-x.y.z-n]`` beside a branch is the normative statement it obeys, by its number in the OASIS standard of MQTT 5.0;
``[MQTT3-…]`` is one of 3.1.1 that 5.0 does not have.
"""
