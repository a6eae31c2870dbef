/*
 * What is used of libdw (elfutils), of the C++ runtime and of the Swift runtime, as functions that Swift can call.
 */
#include <elfutils/libdwfl.h>
#include <stdint.h>

/* <cxxabi.h>, which is C++ (Itanium C++ ABI, section 3.4). */
char *__cxa_demangle(const char *name, char *buffer, size_t *length, int *status);

/* swift/Demangling/Demangle.h of the Swift runtime. */
char *swift_demangle(const char *name, size_t length, char *buffer, size_t *buffer_length, uint32_t flags);

/* Debugging information is looked for in the file itself only: no other files, no network. */
static inline int staticcall_no_debuginfo(
    Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base, const char *file, const char *link,
    GElf_Word crc, char **debuginfo_name) {
  return -1;
}

static const Dwfl_Callbacks staticcall_callbacks = {
    .find_debuginfo = staticcall_no_debuginfo, .section_address = dwfl_offline_section_address};

/* Opens a file's debugging information; NULL where there is none. *module is the file's, and lives as long. */
static inline Dwfl *staticcall_open_lines(const char *path, Dwfl_Module **module) {
  Dwarf_Addr bias;
  Dwfl *session = dwfl_begin(&staticcall_callbacks);
  if (session == NULL) return NULL;
  *module = dwfl_report_offline(session, "", path, -1);
  if (*module != NULL && dwfl_report_end(session, NULL, NULL) == 0 && dwfl_module_getdwarf(*module, &bias) != NULL)
    return session;
  dwfl_end(session);
  return NULL;
}

/* The source line of an offset in a section; returns the file's name, which lives as long as the session, or NULL. */
static inline const char *staticcall_line(Dwfl_Module *module, size_t section, uint64_t offset, int *line) {
  GElf_Addr bias;
  GElf_Shdr header;
  Dwarf_Addr address;
  Elf *elf = dwfl_module_getelf(module, &bias);
  Elf_Scn *found = elf == NULL ? NULL : elf_getscn(elf, section);
  if (found == NULL || gelf_getshdr(found, &header) == NULL) return NULL;
  Dwarf_Addr wanted = header.sh_addr + bias + offset;
  Dwfl_Line *source = dwfl_module_getsrc(module, wanted);
  if (source != NULL) return dwfl_lineinfo(source, &address, line, NULL, NULL, NULL);
  /* clang writes no .debug_aranges, by which libdw finds the compilation unit. */
  for (Dwarf_Die *unit = NULL; (unit = dwfl_module_nextcu(module, unit, &bias)) != NULL;) {
    Dwarf_Line *found_line = dwarf_getsrc_die(unit, wanted - bias);
    if (found_line != NULL && dwarf_lineno(found_line, line) == 0) return dwarf_linesrc(found_line, NULL, NULL);
  }
  return NULL;
}
