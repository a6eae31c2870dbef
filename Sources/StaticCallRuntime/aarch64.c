/*
 * AArch64. A site is `bl`, or `b` for a tail call, with a signed 26-bit displacement in instructions from the branch itself.
 *
 * These two are among the few instructions that may change while other processors execute them (Arm ARM, B2.2.5, "Concurrent
 * modification and execution of instructions"): each executes the old one or the new one. An instruction is aligned, so one store
 * changes it.
 */
#ifdef __aarch64__

#define _GNU_SOURCE
#include "architecture.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "include/static_call.h"

#ifndef PROT_BTI
#define PROT_BTI 0x10
#endif
#ifndef HWCAP2_BTI
#define HWCAP2_BTI (1 << 17)
#endif
#ifndef PT_GNU_PROPERTY
#define PT_GNU_PROPERTY 0x6474e553
#endif

#define BRANCH_MASK 0xfc000000u
#define B 0x14000000u
#define BL 0x94000000u

const uint32_t static_call_shortest_branch = 4;

static volatile uint32_t *instruction(uintptr_t site) { return (volatile uint32_t *)site; }

bool static_call_is_branch(uintptr_t site, bool is_tail) {
  return site % 4 == 0 && (*instruction(site) & BRANCH_MASK) == (is_tail ? B : BL);
}

uint32_t static_call_branch_length(uintptr_t site) {
  (void)site;
  return 4;
}

bool static_call_is_changeable(uintptr_t site) {
  (void)site;
  return true;
}

uintptr_t static_call_branch_target(uintptr_t site) {
  /* Shifted up to the sign and back down to bytes. */
  return site + (uintptr_t)(intptr_t)((int32_t)(*instruction(site) << 6) >> 4);
}

bool static_call_reaches(uintptr_t site, uintptr_t target) {
  intptr_t distance = (intptr_t)(target - site);
  return distance % 4 == 0 && distance >= -(1 << 27) && distance < 1 << 27;
}

void static_call_set_target(uintptr_t site, uintptr_t target) {
  uint32_t offset = (uint32_t)(target - site) >> 2 & ~BRANCH_MASK;
  *instruction(site) = (*instruction(site) & BRANCH_MASK) | offset;
  __builtin___clear_cache((char *)site, (char *)site + 4);
}

/* valgrind.h, PLAT_arm64_linux: the request in x4, an answer in x3. */
void static_call_ask_valgrind(const uintptr_t request[6]) {
  __asm__ volatile(
      "mov x3, #0\n\t"
      "mov x4, %0\n\t"
      "ror x12, x12, #3\n\t"
      "ror x12, x12, #13\n\t"
      "ror x12, x12, #51\n\t"
      "ror x12, x12, #61\n\t"
      "orr x10, x10, x10"
      :
      : "r"(request)
      : "memory", "x3", "x4");
}

/* In all registers that results come in (AAPCS64, 6.9). */
long static_call_return0(void) {
  __asm__ volatile(
      "mov x1, #0\n\t"
      "movi v0.2d, #0\n\t"
      "movi v1.2d, #0\n\t"
      "movi v2.2d, #0\n\t"
      "movi v3.2d, #0"
      :
      :
      : "x1", "v0", "v1", "v2", "v3");
  return 0;
}

/* Code with landing pads for indirect branches (BTI) is mapped so that the processor checks them, and must stay so. */
int static_call_code_protection(const struct dl_phdr_info *object) {
  if (!(getauxval(AT_HWCAP2) & HWCAP2_BTI)) return 0;
  for (int i = 0; i < object->dlpi_phnum; i += 1) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    if (segment->p_type != PT_GNU_PROPERTY || segment->p_memsz < 16) continue;
    /* One note of type NT_GNU_PROPERTY_TYPE_0: its header, "GNU\0", and then type, size and data of each property, aligned to 8 bytes. */
    const char *at = (const char *)object->dlpi_addr + segment->p_vaddr + 16;
    const char *end = (const char *)object->dlpi_addr + segment->p_vaddr + segment->p_memsz;
    while (end - at >= 12) {
      const uint32_t *property = (const uint32_t *)at;
      if (property[0] == 0xc0000000u) return property[2] & 1 ? PROT_BTI : 0; /* GNU_PROPERTY_AARCH64_FEATURE_1_AND, bit BTI */
      if (property[1] > (uint32_t)(end - at)) return 0;
      at += 8 + ((property[1] + 7u) & ~7u);
    }
  }
  return 0;
}

#endif
