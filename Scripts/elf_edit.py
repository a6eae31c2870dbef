"""Reads 64-bit little-endian ELF files and changes single things in them: the half of mutants.py that knows the format.

Nothing is checked and nothing is laid out anew: what grows goes behind the end of the file, so that a change is exactly what was asked for.
With struct only; shares no code with the tool.
"""

import copy
import struct

ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QQq")

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_DYNSYM, SHT_GROUP = 1, 2, 3, 4, 8, 11, 17
SHT_LLVM_ADDRSIG = 0x6FFF4C03
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE = 0x1, 0x2, 0x4, 0x10
SHF_LINK_ORDER, SHF_GROUP, SHF_TLS, SHF_COMPRESSED, SHF_EXCLUDE = 0x80, 0x200, 0x400, 0x800, 0x80000000
SHN_UNDEF, SHN_LORESERVE, SHN_ABS = 0, 0xFF00, 0xFFF1
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE = 0, 1, 2, 3, 4
PT_LOAD = 1
PF_X = 1
EM_X86_64, EM_AARCH64 = 62, 183


class Section:
    """A section header, with the number and the name of the section."""

    FIELDS = ("name_offset", "type", "flags", "address", "offset", "size", "link", "info", "alignment", "entsize")

    def __init__(self, number, fields):
        self.number = number
        self.name = ""
        for name, value in zip(self.FIELDS, fields):
            setattr(self, name, value)

    def pack(self):
        return SECTION_HEADER.pack(*(getattr(self, name) for name in self.FIELDS))


class Symbol:
    def __init__(self, number, name, fields):
        self.number = number
        self.name = name
        self.name_offset, self.info, self.other, self.section, self.value, self.size = fields

    @property
    def binding(self):
        return self.info >> 4

    @property
    def type(self):
        return self.info & 15

    @property
    def is_defined(self):
        return SHN_UNDEF < self.section < SHN_LORESERVE

    def pack(self):
        return SYMBOL.pack(self.name_offset, self.info, self.other, self.section, self.value, self.size)


class Relocation:
    def __init__(self, offset, info, addend):
        self.offset = offset
        self.symbol = info >> 32
        self.type = info & 0xFFFFFFFF
        self.addend = addend

    def copy(self):
        return Relocation(self.offset, self.symbol << 32 | self.type, self.addend)

    def pack(self):
        return RELOCATION.pack(self.offset, self.symbol << 32 | self.type, self.addend)


class Elf:
    def __init__(self, data):
        self.data = bytearray(data)
        self.header = list(ELF_HEADER.unpack_from(data))
        self.machine = self.header[2]
        table, count, names = self.header[6], self.header[12], self.header[13]
        self.sections = [
            Section(i, SECTION_HEADER.unpack_from(data, table + i * SECTION_HEADER.size)) for i in range(count)
        ]
        self.section_names = self.sections[names]
        for section in self.sections:
            section.name = self.string(self.section_names, section.name_offset)

    def finish(self):
        """The file's bytes, with the headers as they are now."""
        for section in self.sections:
            place = self.header[6] + section.number * SECTION_HEADER.size
            self.data[place : place + SECTION_HEADER.size] = section.pack()
        self.data[: ELF_HEADER.size] = ELF_HEADER.pack(*self.header)
        return bytes(self.data)

    # Contents

    def contents(self, section):
        if section.type == SHT_NOBITS:
            return bytes(section.size)
        return bytes(self.data[section.offset : section.offset + section.size])

    def replace(self, section, contents):
        """Gives a section other contents; longer ones behind the end of the file."""
        if len(contents) > section.size:
            self.data += bytes(-len(self.data) % 16)
            section.offset = len(self.data)
            self.data += contents
        else:
            self.data[section.offset : section.offset + len(contents)] = contents
        section.size = len(contents)

    def string(self, section, offset):
        start = section.offset + offset
        return self.data[start : self.data.index(b"\0", start)].decode(errors="replace")

    def add_string(self, section, text):
        """The offset of a new string in a string table."""
        offset = section.size
        self.replace(section, self.contents(section) + text.encode() + b"\0")
        return offset

    def rename_section(self, section, name):
        section.name_offset = self.add_string(self.section_names, name)
        section.name = name

    def named(self, *names):
        return [section for section in self.sections if section.name in names]

    def of_type(self, kind):
        return [section for section in self.sections if section.type == kind]

    # Symbols

    def symbols(self, table):
        names = self.sections[table.link]
        symbols = []
        for number, fields in enumerate(SYMBOL.iter_unpack(self.contents(table))):
            symbol = Symbol(number, self.string(names, fields[0]), fields)
            # A section's symbol is called as the section.
            if symbol.type == STT_SECTION and symbol.is_defined:
                symbol.name = symbol.name or self.sections[symbol.section].name
            symbols.append(symbol)
        return symbols

    def put_symbol(self, table, symbol):
        place = table.offset + symbol.number * SYMBOL.size
        self.data[place : place + SYMBOL.size] = symbol.pack()

    def rename_symbol(self, table, symbol, name):
        # A copy: the symbol may be that of the file which this one was made from.
        renamed = copy.copy(symbol)
        renamed.name_offset = self.add_string(self.sections[table.link], name)
        self.put_symbol(table, renamed)

    def add_symbol(self, table, name, binding, kind, section, value=0):
        """The number of a new symbol at the end, which must not be local."""
        text = self.add_string(self.sections[table.link], name) if name else 0
        number = table.size // SYMBOL.size
        packed = SYMBOL.pack(text, binding << 4 | kind, 0, section, value, 0)
        self.replace(table, self.contents(table) + packed)
        return number

    # Relocations

    def relocations(self, section):
        return [Relocation(*fields) for fields in RELOCATION.iter_unpack(self.contents(section))]

    def put_relocations(self, section, relocations):
        self.replace(section, b"".join(relocation.pack() for relocation in relocations))

    def relocations_of(self, section):
        """The relocation sections of a section."""
        return [other for other in self.of_type(SHT_RELA) if other.info == section.number]

    # Linked images

    def segments(self):
        """(place of its header, fields) of each loaded segment."""
        places = (self.header[5] + i * PROGRAM_HEADER.size for i in range(self.header[10]))
        headers = ((place, PROGRAM_HEADER.unpack_from(self.data, place)) for place in places)
        return [(place, fields) for place, fields in headers if fields[0] == PT_LOAD]

    def place(self, address):
        """Where in the file a loaded byte is; None where it is in no segment's file contents."""
        for _, (_, _, offset, start, _, size, _, _) in self.segments():
            if start <= address < start + size:
                return offset + address - start
        return None
