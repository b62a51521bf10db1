"""Packets as bytes: by the standard's own examples where it has some. Shared by the codec's tests and the fuzzer."""

from __future__ import annotations

from hardpoint.wire.mqtt import properties as p
from hardpoint.wire.mqtt.packets import (
    Ack,
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Filter,
    Ping,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
)

CONNECT_31 = b"\x10\x13\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x05board"
CONNECT_311 = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05board"
CONNECT_5 = b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x05board"
HELLO = {3: CONNECT_31, 4: CONNECT_311, 5: CONNECT_5}

# version, bytes, what they are; all of them a client sends.
FROM_CLIENT = {
    "publish 0": (4, b"\x30\x0a\x00\x04temp21.5", Publish("temp", b"21.5")),
    "publish 1": (4, b"\x33\x0a\x00\x03a/b\x00\x0a7.5", Publish("a/b", b"7.5", 1, True, False, 10)),
    "publish 2 again": (4, b"\x3c\x08\x00\x03a/b\x00\x01x", Publish("a/b", b"x", 2, False, True, 1)),
    "publish nothing": (4, b"\x31\x05\x00\x03a/b", Publish("a/b", b"", 0, True)),
    "publish long": (4, b"\x30\xcd\x01\x00\x03a/b" + b"x" * 200, Publish("a/b", b"x" * 200)),
    "publish 5": (5, b"\x30\x06\x00\x03a/b\x00", Publish("a/b", b"")),
    "publish properties": (
        5,
        (
            b"\x32\x30\x00\x03a/b\x00\x01\x27\x01\x01\x02\x00\x00\x00\x3c\x03\x00\x01t\x08\x00\x03r/t\x09\x00\x02\x00\xff"
            b"\x23\x00\x05\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01wx"
        ),
        Publish(
            "a/b",
            b"x",
            1,
            packet_id=1,
            properties={
                p.PAYLOAD_FORMAT_INDICATOR: 1,
                p.MESSAGE_EXPIRY_INTERVAL: 60,
                p.CONTENT_TYPE: "t",
                p.RESPONSE_TOPIC: "r/t",
                p.CORRELATION_DATA: b"\0\xff",
                p.TOPIC_ALIAS: 5,
                p.USER_PROPERTY: [("k", "v"), ("k", "w")],
            },
        ),
    ),
    "publish by alias": (5, b"\x30\x07\x00\x00\x03\x23\x00\x01x", Publish("", b"x", properties={p.TOPIC_ALIAS: 1})),
    "puback": (4, b"\x40\x02\x12\x34", Ack(p.PUBACK, 0x1234)),
    "pubrec": (4, b"\x50\x02\x00\x01", Ack(p.PUBREC, 1)),
    "pubrel": (4, b"\x62\x02\x00\x01", Ack(p.PUBREL, 1)),
    "pubcomp": (4, b"\x70\x02\x00\x01", Ack(p.PUBCOMP, 1)),
    "puback 5": (5, b"\x40\x03\x00\x01\x10", Ack(p.PUBACK, 1, 0x10)),
    "pubrec 5": (
        5,
        b"\x50\x0a\x00\x01\x97\x06\x1f\x00\x03why",
        Ack(p.PUBREC, 1, 0x97, {p.REASON_STRING: "why"}),
    ),
    "pubcomp 5": (5, b"\x70\x03\x00\x01\x92", Ack(p.PUBCOMP, 1, 0x92)),
    "subscribe": (
        4,
        b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x02",
        Subscribe(10, [Filter("a/b", 1), Filter("c/d", 2)]),
    ),
    "subscribe 5": (
        5,
        b"\x82\x0c\x00\x0a\x03\x0b\xff\x01\x00\x03a/#\x2d",
        Subscribe(10, [Filter("a/#", 1, True, True, 2)], {p.SUBSCRIPTION_IDENTIFIER: [255]}),
    ),
    "unsubscribe": (4, b"\xa2\x0c\x00\x0a\x00\x03a/b\x00\x03c/d", Unsubscribe(10, ["a/b", "c/d"])),
    "unsubscribe 5": (5, b"\xa2\x08\x00\x0a\x00\x00\x03a/b", Unsubscribe(10, ["a/b"])),
    "pingreq": (4, b"\xc0\x00", Ping(p.PINGREQ)),
    "disconnect": (4, b"\xe0\x00", Disconnect()),
    "disconnect 5": (
        5,
        b"\xe0\x07\x04\x05\x11\x00\x00\x00\x0a",
        Disconnect(4, {p.SESSION_EXPIRY_INTERVAL: 10}),
    ),
    "auth": (5, b"\xf0\x08\x18\x06\x15\x00\x03SCR", Auth(0x18, {p.AUTHENTICATION_METHOD: "SCR"})),
}

FROM_SERVER = {
    "connack": (5, b"\x20\x06\x01\x00\x03\x21\x00\x0a", ConnAck(True, 0, {p.RECEIVE_MAXIMUM: 10})),
    "publish": (
        5,
        b"\x30\x08\x00\x03a/b\x02\x0b\x07",
        Publish("a/b", b"", properties={p.SUBSCRIPTION_IDENTIFIER: [7]}),
    ),
    "suback": (4, b"\x90\x05\x00\x0a\x00\x01\x80", SubAck(10, [0, 1, 0x80])),
    "suback 5": (5, b"\x90\x05\x00\x0a\x00\x01\x8f", SubAck(10, [1, 0x8F])),
    "unsuback": (4, b"\xb0\x02\x00\x0a", UnsubAck(10)),
    "unsuback 5": (5, b"\xb0\x04\x00\x0a\x00\x11", UnsubAck(10, [0x11])),
    "pingresp": (4, b"\xd0\x00", Ping(p.PINGRESP)),
    "disconnect": (5, b"\xe0\x01\x8e", Disconnect(0x8E)),
}

CONNECTS = {
    "3.1": (CONNECT_31, Connect(3, "board", True, 60)),
    "3.1.1": (CONNECT_311, Connect(4, "board", True, 60)),
    "5": (CONNECT_5, Connect(5, "board", True, 60)),
    "will, name and password": (
        b"\x10\x25\x00\x04MQTT\x04\xee\x00\x0a\x00\x01c\x00\x03w/t\x00\x04gone\x00\x04user\x00\x05\x00pass",
        Connect(4, "c", True, 10, Will("w/t", b"gone", 1, True), "user", b"\0pass"),
    ),
    "properties": (
        (
            b"\x10\x2f\x00\x04MQTT\x05\x44\x00\x00\x0d\x11\x00\x00\x00\x0a\x21\x00\x14\x26\x00\x00\x00\x00"
            b"\x00\x00\x0a\x18\x00\x00\x00\x05\x03\x00\x02ct\x00\x01w\x00\x01x\x00\x02pw"
        ),
        Connect(
            5,
            "",
            False,
            0,
            Will("w", b"x", 0, False, {p.WILL_DELAY_INTERVAL: 5, p.CONTENT_TYPE: "ct"}),
            None,
            b"pw",
            {p.SESSION_EXPIRY_INTERVAL: 10, p.RECEIVE_MAXIMUM: 20, p.USER_PROPERTY: [("", "")]},
        ),
    ),
}

# bytes of a first packet, and the reason they are refused with.
BAD_CONNECTS = {
    "not a connect": (b"\xc0\x00", 0x82),  # [MQTT-3.1.0-1]
    "an http request": (b"GET / HTTP/1.1\r\n", 0x82),
    "flags": (b"\x11\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05board", 0x82),  # [MQTT-2.1.3-1]
    "another protocol": (b"\x10\x11\x00\x04MQTX\x04\x02\x00\x3c\x00\x05board", 0x84),  # [MQTT-3.1.2-1]
    "another level": (b"\x10\x11\x00\x04MQTT\x06\x02\x00\x3c\x00\x05board", 0x84),  # [MQTT-3.1.2-2]
    "a bridge's level": (b"\x10\x11\x00\x04MQTT\x84\x02\x00\x3c\x00\x05board", 0x84),
    "reserved flag": (b"\x10\x11\x00\x04MQTT\x04\x03\x00\x3c\x00\x05board", 0x81),  # [MQTT-3.1.2-3]
    "will qos without will": (b"\x10\x11\x00\x04MQTT\x04\x0a\x00\x3c\x00\x05board", 0x81),  # [MQTT-3.1.2-11]
    "will retain without will": (b"\x10\x11\x00\x04MQTT\x04\x22\x00\x3c\x00\x05board", 0x81),  # [MQTT-3.1.2-13]
    "will qos 3": (b"\x10\x17\x00\x04MQTT\x04\x1e\x00\x3c\x00\x05board\x00\x01w\x00\x01x", 0x81),  # [MQTT-3.1.2-12]
    "will to a filter": (b"\x10\x17\x00\x04MQTT\x04\x06\x00\x3c\x00\x05board\x00\x01#\x00\x01x", 0x90),
    "password alone": (b"\x10\x14\x00\x04MQTT\x04\x42\x00\x3c\x00\x05board\x00\x01x", 0x81),  # [MQTT3-3.1.2-22]
    "ends early": (b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x05boar", 0x81),
    "goes on": (b"\x10\x12\x00\x04MQTT\x04\x02\x00\x3c\x00\x05board!", 0x81),
    "a name with zero": (b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05bo\x00rd", 0x81),  # [MQTT-1.5.4-2]
    "a name that is no text": (b"\x10\x11\x00\x04MQTT\x04\x02\x00\x3c\x00\x05bo\xffrd", 0x81),  # [MQTT-1.5.4-1]
    "a surrogate": (b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03\xed\xa0\x80", 0x81),  # [MQTT-1.5.4-1]
    "data without method": (b"\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x04\x16\x00\x01x\x00\x00", 0x82),
    "receive maximum 0": (b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x00", 0x82),
    "expiry twice": (
        b"\x10\x17\x00\x04MQTT\x05\x02\x00\x00\x0a\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01\x00\x00",
        0x82,
    ),
    "request information 2": (b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x00\x02\x17\x02\x00\x00", 0x82),
    "length of five bytes": (b"\x10\xff\xff\xff\xff\x01", 0x81),  # §2.1.4
    "too long": (b"\x10\xff\xff\xff\x7f", 0x95),
}

# version, bytes behind CONNECT, and the reason they are refused with.
BAD = {
    "packet type 0": (4, b"\x00\x00", 0x82),
    "connect again": (4, CONNECT_311, 0x82),  # [MQTT-3.1.0-2]
    "what a server sends": (4, b"\xd0\x00", 0x82),
    "auth in 3.1.1": (4, b"\xf0\x00", 0x82),
    "pingreq with flags": (4, b"\xc1\x00", 0x81),  # [MQTT-2.1.3-1]
    "pingreq with a body": (4, b"\xc0\x01\x00", 0x81),
    "pubrel without flags": (4, b"\x60\x02\x00\x01", 0x81),  # [MQTT-3.6.1-1]
    "subscribe without flags": (4, b"\x80\x08\x00\x0a\x00\x03a/b\x01", 0x81),  # [MQTT-3.8.1-1]
    "unsubscribe without flags": (4, b"\xa0\x07\x00\x0a\x00\x03a/b", 0x81),  # [MQTT-3.10.1-1]
    "subscribe to nothing": (4, b"\x82\x02\x00\x0a", 0x82),  # [MQTT-3.8.3-2]
    "subscribe qos 3": (4, b"\x82\x08\x00\x0a\x00\x03a/b\x03", 0x81),  # [MQTT3-3-8.3-4]
    "subscribe options in 3.1.1": (4, b"\x82\x08\x00\x0a\x00\x03a/b\x04", 0x81),
    "subscribe reserved": (5, b"\x82\x09\x00\x0a\x00\x00\x03a/b\x40", 0x81),  # [MQTT-3.8.3-5]
    "subscribe handling 3": (5, b"\x82\x09\x00\x0a\x00\x00\x03a/b\x30", 0x82),
    "subscribe packet 0": (4, b"\x82\x08\x00\x00\x00\x03a/b\x01", 0x82),  # [MQTT-2.2.1-3]
    "subscription identifier 0": (5, b"\x82\x0b\x00\x0a\x02\x0b\x00\x00\x03a/b\x00", 0x82),
    "subscribe to no text": (4, b"\x82\x08\x00\x0a\x00\x03a\xffb\x01", 0x81),  # [MQTT-3.8.3-1]
    "unsubscribe packet 0": (4, b"\xa2\x07\x00\x00\x00\x03a/b", 0x82),  # [MQTT-2.2.1-3]
    "unsubscribe from no text": (4, b"\xa2\x07\x00\x0a\x00\x03a\xffb", 0x81),  # [MQTT-3.10.3-1]
    "unsubscribe from nothing": (4, b"\xa2\x02\x00\x0a", 0x82),  # [MQTT-3.10.3-2]
    "publish qos 3": (4, b"\x36\x07\x00\x03a/b\x00\x01", 0x81),  # [MQTT-3.3.1-4]
    "publish dup at 0": (4, b"\x38\x05\x00\x03a/b", 0x81),  # [MQTT-3.3.1-2]
    "publish packet 0": (4, b"\x32\x07\x00\x03a/b\x00\x00", 0x82),  # [MQTT-2.2.1-3]
    "publish to a filter": (4, b"\x30\x05\x00\x03a/+", 0x90),  # [MQTT-3.3.2-2]
    "publish to nothing": (4, b"\x30\x02\x00\x00", 0x82),  # [MQTT-4.7.3-1]
    "publish to nothing in 5": (5, b"\x30\x03\x00\x00\x00", 0x82),
    "publish with zero": (4, b"\x30\x05\x00\x03a\x00b", 0x81),  # [MQTT-1.5.4-2]
    "publish cut in topic": (4, b"\x30\x04\x00\x03a/", 0x81),
    "publish cut in length": (4, b"\x30\x01\x00", 0x81),
    "publish cut in id": (4, b"\x32\x06\x00\x03a/b\x00", 0x81),
    "publish alias 0": (5, b"\x30\x09\x00\x03a/b\x03\x23\x00\x00", 0x94),  # [MQTT-3.3.2-8]
    "publish with identifier": (5, b"\x30\x08\x00\x03a/b\x02\x0b\x01", 0x82),  # [MQTT-3.3.4-6]
    "publish response filter": (5, b"\x30\x0a\x00\x03a/b\x04\x08\x00\x01#", 0x90),  # [MQTT-3.3.2-14]
    "publish unknown property": (5, b"\x30\x08\x00\x03a/b\x02\x7f\x01", 0x81),
    "publish with connect's property": (5, b"\x30\x09\x00\x03a/b\x03\x21\x00\x01", 0x81),
    "publish property cut": (5, b"\x30\x08\x00\x03a/b\x02\x23\x01", 0x81),
    "properties longer than packet": (5, b"\x30\x07\x00\x03a/b\x05\x01", 0x81),
    "content type that is no text": (5, b"\x30\x0a\x00\x03a/b\x04\x03\x00\x01\xff", 0x81),  # [MQTT-3.3.2-19]
    "response topic that is no text": (5, b"\x30\x0a\x00\x03a/b\x04\x08\x00\x01\xff", 0x81),  # [MQTT-3.3.2-13]
    "format 2": (5, b"\x30\x08\x00\x03a/b\x02\x01\x02", 0x82),
    "puback 0": (4, b"\x40\x02\x00\x00", 0x82),
    "puback reason": (5, b"\x40\x03\x00\x01\x01", 0x82),  # [MQTT-3.4.2-1]
    "puback 0 with reason": (5, b"\x40\x03\x00\x00\x10", 0x82),  # [MQTT-2.2.1-3]
    "pubrec 0": (4, b"\x50\x02\x00\x00", 0x82),
    "pubrel 0": (4, b"\x62\x02\x00\x00", 0x82),
    "pubcomp 0": (4, b"\x70\x02\x00\x00", 0x82),
    "pubrec reason": (5, b"\x50\x03\x00\x01\x92", 0x82),  # [MQTT-3.5.2-1]
    "pubcomp reason": (5, b"\x70\x03\x00\x01\x80", 0x82),  # [MQTT-3.7.2-1]
    "auth reason": (5, b"\xf0\x02\x01\x00", 0x82),  # [MQTT-3.15.2-1]
    "pubrel reason": (5, b"\x62\x03\x00\x01\x80", 0x82),  # [MQTT-3.6.2-1]
    "puback in 3.1.1 with reason": (4, b"\x40\x03\x00\x01\x10", 0x81),
    "disconnect reason": (5, b"\xe0\x01\x8e", 0x82),
    "disconnect to elsewhere": (5, b"\xe0\x06\x00\x04\x1c\x00\x01x", 0x82),
    "length longer than need be": (5, b"\xc0\x80\x00", 0x81),  # [MQTT-1.5.5-1]
    "property longer than need be": (5, b"\x30\x09\x00\x03a/b\x82\x00\x01\x01", 0x81),
    "too long": (4, b"\x30\xff\xff\xff\x7f", 0x95),
}
