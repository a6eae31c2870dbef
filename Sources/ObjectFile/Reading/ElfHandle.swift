import CLibelf

/// libelf's view of an image: section headers and section data. Nothing else in the project calls libelf.
@safe struct ElfHandle: ~Copyable {
  private let elf: OpaquePointer

  /// Opens the object in `image`, which must outlive the handle.
  init(_ image: borrowing Image) throws(ObjectFileError) {
    guard Self.libraryIsUsable else { throw .damaged("the installed libelf does not know ELF version 1") }
    // SAFETY: libelf only reads from the memory; its parameter is not const because it serves writing callers as well.
    let memory = unsafe UnsafeMutablePointer(
      mutating: image.memory.bindMemory(to: CChar.self).baseAddress)
    guard let elf = unsafe elf_memory(memory, image.count) else { throw .damaged(Self.lastMessage()) }
    unsafe self.elf = elf
  }

  deinit { unsafe _ = elf_end(elf) }

  private static let libraryIsUsable = elf_version(UInt32(EV_CURRENT)) != UInt32(EV_NONE)

  /// libelf's own words for its last failure; kept per thread and overwritten by the next call.
  private static func lastMessage() -> String {
    // SAFETY: a string constant of the library, or nil.
    guard let message = unsafe elf_errmsg(-1) else { return "libelf gives no reason" }
    return "libelf says: \(unsafe String(cString: message))"
  }

  /// The number of sections that libelf found; 0 where it gave up on the section header table without an error.
  func sectionCount() -> Int {
    var count = 0
    // SAFETY: the out-parameter is a local variable.
    guard unsafe elf_getshdrnum(elf, &count) == 0 else { return 0 }
    return count
  }

  func section(at index: Int) throws(ObjectFileError) -> Section {
    // SAFETY: the pointers belong to the open handle and are only read here.
    guard let scn = unsafe elf_getscn(elf, index), let header = unsafe elf64_getshdr(scn)?.pointee else {
      throw .damaged("section header \(index) cannot be read; \(Self.lastMessage())")
    }
    return Section(
      index: SectionIndex(index), nameOffset: header.sh_name, type: SectionType(header.sh_type),
      flags: SectionFlags(rawValue: header.sh_flags), address: header.sh_addr, fileOffset: header.sh_offset,
      size: header.sh_size, link: header.sh_link, info: header.sh_info, alignment: header.sh_addralign,
      entrySize: header.sh_entsize)
  }

  /// A section's bytes as libelf holds them: in the image where they are aligned for their type, else in a copy of its own.
  /// They live as long as the handle. Empty for a section without file contents.
  func data(of section: Section) throws(ObjectFileError) -> UnsafeRawBufferPointer {
    guard section.hasFileContents else { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
    // SAFETY: libelf returns a descriptor whose buffer holds d_size bytes until elf_end.
    guard let scn = unsafe elf_getscn(elf, section.index.rawValue), let data = unsafe elf_getdata(scn, nil) else {
      throw .damaged("section \(section.index.rawValue) cannot be read; \(Self.lastMessage())")
    }
    guard let buffer = unsafe data.pointee.d_buf, unsafe UInt64(data.pointee.d_size) == section.size else {
      throw .damaged("section \(section.index.rawValue) is not as long as its header says")
    }
    return unsafe UnsafeRawBufferPointer(start: buffer, count: data.pointee.d_size)
  }
}
