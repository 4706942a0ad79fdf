"""Telling from its last bytes whether a compressed recording was cut off, where nothing else tells.

Most formats say at their beginning how long they are. Ogg marks its last page instead (RFC 3533, section 6), and an MP3
file without a Xing header says nothing: there only a frame that stops before its end gives a cut away (ISO/IEC 11172-3
and 13818-3, "Header").
"""

from __future__ import annotations

import os
from typing import IO

_OGG_PAGE = b"OggS"
_OGG_HEADER = 27
_LARGEST_OGG_PAGE = 65_307
_END_OF_STREAM = 0x04

_MPEG_1, _MPEG_2, _LAYER_3 = 3, 2, 1
_KILOBITS = {
    _MPEG_1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    _MPEG_2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_RATES = {_MPEG_1: (44_100, 48_000, 32_000, 0), _MPEG_2: (22_050, 24_000, 16_000, 0)}


def is_unfinished_ogg(file: IO[bytes]) -> bool:
    """Whether an Ogg file ends without the page that ends its stream; false for any other file. Moves the position."""
    file.seek(0)
    if file.read(len(_OGG_PAGE)) != _OGG_PAGE:
        return False
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LARGEST_OGG_PAGE))
    tail = file.read()
    page = tail[tail.rfind(_OGG_PAGE) :]
    if len(page) < _OGG_HEADER or not page.startswith(_OGG_PAGE):
        return True
    segments = page[_OGG_HEADER : _OGG_HEADER + page[26]]
    return not page[5] & _END_OF_STREAM or len(page) < _OGG_HEADER + page[26] + sum(segments)


def is_part_of_mp3_frame(packet: bytes) -> bool:
    """Whether a packet that begins with the header of an MPEG-1 or -2 Layer III frame is shorter than that frame."""
    if len(packet) < 4 or packet[0] != 0xFF or packet[1] >> 5 != 7:
        return False
    version, layer = packet[1] >> 3 & 3, packet[1] >> 1 & 3
    if version not in _RATES or layer != _LAYER_3:
        return False
    kilobits, rate = _KILOBITS[version][packet[2] >> 4], _RATES[version][packet[2] >> 2 & 3]
    if not kilobits or not rate:
        return False
    padding = packet[2] >> 1 & 1
    return len(packet) < (144 if version == _MPEG_1 else 72) * kilobits * 1000 // rate + padding
