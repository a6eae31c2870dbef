"""Just enough of ELF64 to damage it: named fields of headers, symbols and relocations, and new sections."""

import struct

HEADER = {"class": (4, 1), "data": (5, 1), "ident_version": (6, 1), "type": (16, 2), "machine": (18, 2), "version": (20, 4),
          "phoff": (32, 8), "shoff": (40, 8), "ehsize": (52, 2), "phnum": (56, 2), "shentsize": (58, 2), "shnum": (60, 2),
          "shstrndx": (62, 2)}  # fmt: skip
SECTION = {"name": (0, 4), "type": (4, 4), "flags": (8, 8), "address": (16, 8), "offset": (24, 8), "size": (32, 8),
           "link": (40, 4), "info": (44, 4), "align": (48, 8), "entsize": (56, 8)}  # fmt: skip
SYMBOL = {"name": (0, 4), "info": (4, 1), "other": (5, 1), "shndx": (6, 2), "value": (8, 8), "size": (16, 8)}
RELA = {"offset": (0, 8), "type": (8, 4), "symbol": (12, 4), "addend": (16, 8)}

PROGBITS, SYMTAB, STRTAB, RELA_TYPE, NOTE, NOBITS, REL, DYNSYM, GROUP, SYMTAB_SHNDX = 1, 2, 3, 4, 7, 8, 9, 11, 17, 18
WRITE, ALLOC, EXEC, LINK_ORDER, IN_GROUP, COMPRESSED = 1, 2, 4, 0x80, 0x200, 0x800


class Elf:
    def __init__(self, data):
        self.data = bytearray(data)

    # Numbers

    def number(self, offset, width):
        return int.from_bytes(self.data[offset : offset + width], "little")

    def set_number(self, offset, width, value):
        self.data[offset : offset + width] = (value % (1 << 8 * width)).to_bytes(width, "little")

    def _field(self, fields, base, name, value):
        offset, width = fields[name]
        if value is None:
            return self.number(base + offset, width)
        self.set_number(base + offset, width, value)

    def header(self, field, value=None):
        return self._field(HEADER, 0, field, value)

    def section(self, section, field, value=None):
        base = self.header("shoff") + 64 * self.index(section)
        return self._field(SECTION, base, field, value)

    def symbol(self, symbol, field, value=None):
        base = self.section(".symtab", "offset") + 24 * self.symbol_index(symbol)
        return self._field(SYMBOL, base, field, value)

    def rela(self, section, number, field, value=None):
        return self._field(RELA, self.section(section, "offset") + 24 * number, field, value)

    # Parts

    @property
    def count(self):
        return self.header("shnum") or self.section(0, "size")

    def contents(self, section):
        offset = self.section(section, "offset")
        return bytes(self.data[offset : offset + self.section(section, "size")])

    def string(self, section, offset):
        data = self.contents(section)
        return data[offset : data.index(b"\0", offset)].decode(errors="replace")

    def index(self, section):
        if isinstance(section, int):
            return section
        names = self.header("shstrndx")
        for index in range(1, self.count):
            if self.string(names, self.section(index, "name")) == section:
                return index
        raise KeyError(section)

    def symbol_count(self):
        return self.section(".symtab", "size") // 24

    def symbol_index(self, symbol):
        if isinstance(symbol, int):
            return symbol
        for index in range(1, self.symbol_count()):
            if self.string(".strtab", self.symbol(index, "name")) == symbol:
                return index
        raise KeyError(symbol)

    # Growing

    def place(self, contents):
        """Appends contents and returns where they are."""
        self.data += bytes(-len(self.data) % 8)
        offset = len(self.data)
        self.data += contents
        return offset

    def replace(self, section, contents):
        """Gives a section other contents, at the end of the file."""
        offset = self.place(contents)
        self.section(section, "offset", offset)
        self.section(section, "size", len(contents))

    def extend(self, section, contents):
        """Appends to a section; returns where in it."""
        start = self.section(section, "size")
        self.replace(section, self.contents(section) + contents)
        return start

    def add_sections(self, sections, contents=b""):
        """Appends headers, each a dictionary of fields; "at" is the place of a section's bytes in `contents`. Returns the first index."""
        offset = self.place(contents)
        old, first = self.header("shoff"), self.count
        headers = bytearray(self.data[old : old + 64 * first])
        for fields in sections:
            header = bytearray(64)
            for field, value in fields.items():
                if field == "at":
                    field, value = "offset", value + offset
                start, width = SECTION[field]
                header[start : start + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
            headers += header
        self.header("shoff", self.place(headers))
        self.set_count(first + len(sections))
        return first

    def set_count(self, count):
        """The number of sections, by extended numbering where that is needed."""
        self.header("shnum", count if count < 0xFF00 else 0)
        if count >= 0xFF00:
            self.section(0, "size", count)

    def name_section(self, text):
        """Adds a section name."""
        return self.extend(self.header("shstrndx"), text + b"\0")

    def name_symbol(self, text):
        return self.extend(".strtab", text + b"\0")

    def add_symbols(self, records):
        """Appends symbols, as bytes."""
        self.extend(".symtab", records)


def symbol(name, info=0x10, other=0, shndx=0, value=0, size=0):
    return struct.pack("<IBBHQQ", name, info, other, shndx, value, size)


def rela(offset, kind, symbol, addend=0):
    return struct.pack("<QIIq", offset, kind, symbol, addend)
