"""A name server of one word:  dns.py FILE

FILE says what it does with each question that comes to 127.0.0.1:53: an IPv4
address is the answer to all A questions, `unknown` says that there is no such
name, `silent` says nothing.  FILE.up is there once it can be asked.
"""

import socket
import struct
import sys


def answer(question, word):
    end = 12
    while question[end]:
        end += question[end] + 1
    end += 5
    kind = struct.unpack(">H", question[end - 4:end - 2])[0]
    known = word != "unknown"
    found = known and kind == 1
    head = question[:2] + struct.pack(
        ">HHHHH", 0x8580 if known else 0x8583, 1, found, 0, 0)
    out = head + question[12:end]
    if found:
        out += struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4)
        out += socket.inet_aton(word)
    return out


def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))
    open(sys.argv[1] + ".up", "w").close()
    while True:
        question, peer = s.recvfrom(4096)
        with open(sys.argv[1]) as f:
            word = f.read().strip()
        if word != "silent":
            s.sendto(answer(question, word), peer)


if __name__ == "__main__":
    main()
