/* A runtime patcher in small: finds the linked table of call sites and retargets the branches of a key to its function. */
#include "cost.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* include/linux/static_call_types.h */
struct static_call_site {
  int32_t addr;
  int32_t key;
};
enum { TAIL = 1, FLAGS = 3 };

/* Where the image begins in memory; the linker defines it. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static int complain(const char *what) {
  fprintf(stderr, "patch_sites: %s\n", what);
  return -1;
}

/*
 * The table's name is no C identifier, so the linker defines no symbols for its ends. Section headers are not loaded: they are
 * read from the file.
 */
static struct static_call_site *find_table(size_t *count) {
  FILE *image = fopen("/proc/self/exe", "rb");
  if (image == NULL) return NULL;
  Elf64_Ehdr header;
  Elf64_Shdr *sections = NULL;
  char *names = NULL;
  struct static_call_site *table = NULL;
  if (fread(&header, sizeof header, 1, image) != 1) goto done;
  size_t size = (size_t)header.e_shnum * sizeof *sections;
  sections = malloc(size);
  if (sections == NULL || fseek(image, (long)header.e_shoff, SEEK_SET) != 0 || fread(sections, size, 1, image) != 1) goto done;
  const Elf64_Shdr *strings = &sections[header.e_shstrndx];
  names = malloc(strings->sh_size);
  if (names == NULL || fseek(image, (long)strings->sh_offset, SEEK_SET) != 0 || fread(names, strings->sh_size, 1, image) != 1)
    goto done;
  for (int i = 1; i < header.e_shnum; i++)
    if (strcmp(names + sections[i].sh_name, ".static_call_sites") == 0) {
      /* A position-independent image begins at address 0. */
      table = (struct static_call_site *)(__ehdr_start + sections[i].sh_addr);
      *count = sections[i].sh_size / sizeof *table;
    }
done:
  free(names);
  free(sections);
  fclose(image);
  return table;
}

static int retarget(unsigned char *site, int is_tail, const void *function) {
  intptr_t distance = (intptr_t)function - (intptr_t)(site + 5);
  int32_t field = (int32_t)distance;
  if (*site != (is_tail ? 0xe9 : 0xe8)) return complain("an entry does not lead to a branch");
  if (field != distance) return complain("the function is out of reach");
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t start = (uintptr_t)site & -page;
  size_t length = (uintptr_t)site + 5 - start;
  if (mprotect((void *)start, length, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) return complain("mprotect failed");
  memcpy(site + 1, &field, sizeof field);
  if (mprotect((void *)start, length, PROT_READ | PROT_EXEC) != 0) return complain("mprotect failed");
  return 0;
}

int patch_sites(const struct static_call_key *key) {
  size_t count = 0;
  struct static_call_site *table = find_table(&count);
  if (table == NULL) return complain("the program has no table of call sites");
  int patched = 0;
  for (size_t i = 0; i < count; i++) {
    uintptr_t reference = (uintptr_t)&table[i].key + (uintptr_t)(intptr_t)table[i].key;
    if ((reference & ~(uintptr_t)FLAGS) != (uintptr_t)key) continue;
    unsigned char *site = (unsigned char *)&table[i].addr + table[i].addr;
    if (retarget(site, (reference & TAIL) != 0, (const void *)key->func) != 0) return -1;
    patched++;
  }
  return patched;
}
