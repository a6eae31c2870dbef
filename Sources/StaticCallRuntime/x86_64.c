/*
 * x86-64. A site is `e8` call, `e9` jmp or `0f 80..8f` jcc, each with a 32-bit displacement from its end.
 *
 * Only the displacement changes, by one store of four bytes. Inside a cache line other processors fetch the old bytes or the new ones;
 * where it crosses into the next line they may execute half of each, however the writer synchronises afterwards. A site of that
 * kind is never touched.
 */
#ifdef __x86_64__

#define _GNU_SOURCE
#include "architecture.h"
#include "include/static_call.h"

#define CACHE_LINE 64

const uint32_t static_call_shortest_branch = 5;

static uint8_t byte_at(uintptr_t address) { return *(const volatile uint8_t *)address; }

static uintptr_t displacement_of(uintptr_t site) { return site + (byte_at(site) == 0x0f ? 2 : 1); }

bool static_call_is_branch(uintptr_t site, bool is_tail) {
  uint8_t opcode = byte_at(site);
  if (!is_tail) return opcode == 0xe8;
  return opcode == 0xe9 || (opcode == 0x0f && (byte_at(site + 1) & 0xf0) == 0x80);
}

uint32_t static_call_branch_length(uintptr_t site) { return byte_at(site) == 0x0f ? 6 : 5; }

bool static_call_is_changeable(uintptr_t site) {
  return displacement_of(site) % CACHE_LINE <= CACHE_LINE - sizeof(int32_t);
}

uintptr_t static_call_branch_target(uintptr_t site) {
  uintptr_t displacement = displacement_of(site);
  int32_t value;
  __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(displacement) : "memory");
  return displacement + sizeof value + (uintptr_t)(intptr_t)value;
}

bool static_call_reaches(uintptr_t site, uintptr_t target) {
  intptr_t distance = (intptr_t)(target - (displacement_of(site) + sizeof(int32_t)));
  return distance == (int32_t)distance;
}

void static_call_set_target(uintptr_t site, uintptr_t target) {
  uintptr_t displacement = displacement_of(site);
  int32_t value = (int32_t)(target - (displacement + sizeof value));
  /* One instruction: a compiler may split a store that is not aligned. */
  __asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(displacement) : "memory");
}

/* valgrind.h, PLAT_amd64_linux: the request in rax, an answer in rdx. */
void static_call_ask_valgrind(const uintptr_t request[6]) {
  uintptr_t answer = 0;
  __asm__ volatile(
      "rolq $3, %%rdi\n\t"
      "rolq $13, %%rdi\n\t"
      "rolq $61, %%rdi\n\t"
      "rolq $51, %%rdi\n\t"
      "xchgq %%rbx, %%rbx"
      : "+d"(answer)
      : "a"(request)
      : "cc", "memory");
}

/* In all registers that results come in (psABI, 3.2.3), but those of the x87. */
long static_call_return0(void) {
  __asm__ volatile(
      "xorl %%edx, %%edx\n\t"
      "pxor %%xmm0, %%xmm0\n\t"
      "pxor %%xmm1, %%xmm1"
      :
      :
      : "cc", "rdx", "xmm0", "xmm1");
  return 0;
}

int static_call_code_protection(const struct dl_phdr_info *object) {
  (void)object;
  return 0;
}

#endif
