#define _GNU_SOURCE
#include "own_object.h"

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <sys/mman.h>

#include "architecture.h"

#define MOST_SEGMENTS 16

struct static_call_object static_call_object = {.path = "?"};

static struct static_call_range segments[MOST_SEGMENTS];
static size_t segment_count;

static bool has_code_at(const struct dl_phdr_info *object, uintptr_t address) {
  for (int i = 0; i < object->dlpi_phnum; i += 1) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    if (segment->p_type == PT_LOAD && address - (object->dlpi_addr + segment->p_vaddr) < segment->p_memsz) return true;
  }
  return false;
}

static int look_at(struct dl_phdr_info *object, size_t size, void *inside) {
  (void)size;
  if (!has_code_at(object, (uintptr_t)inside)) return 0;
  /* The program itself has no name here. */
  bool is_named = object->dlpi_name && *object->dlpi_name;
  static_call_object = (struct static_call_object){
      .path = is_named ? object->dlpi_name : program_invocation_name,
      .base = object->dlpi_addr,
      .is_program = !is_named,
  };
  for (int i = 0; i < object->dlpi_phnum && segment_count < MOST_SEGMENTS; i += 1) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    /* Code that only can be executed cannot be looked at: its sites stay as they are. */
    if (segment->p_type != PT_LOAD || (segment->p_flags & (PF_R | PF_X)) != (PF_R | PF_X)) continue;
    uintptr_t start = object->dlpi_addr + segment->p_vaddr;
    segments[segment_count++] = (struct static_call_range){
        .start = start,
        .end = start + segment->p_memsz,
        .protection =
            PROT_READ | PROT_EXEC | (segment->p_flags & PF_W ? PROT_WRITE : 0) | static_call_code_protection(object),
    };
  }
  return 1;
}

void static_call_find_object(const void *inside) { dl_iterate_phdr(look_at, (void *)(uintptr_t)inside); }

const struct static_call_range *static_call_segment_of(uintptr_t site) {
  for (size_t i = 0; i < segment_count; i += 1) {
    const struct static_call_range *segment = &segments[i];
    if (site >= segment->start && site < segment->end && segment->end - site >= static_call_shortest_branch) return segment;
  }
  return NULL;
}
