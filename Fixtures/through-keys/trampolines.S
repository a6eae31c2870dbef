/* The trampolines of the program's keys, for both machines. */

#if defined(__x86_64__)
.macro TRAMPOLINE name
  .balign 4
  .globl __SCT__\name
  .type __SCT__\name, %function
__SCT__\name:
  jmp *__SCK__\name(%rip)
  .byte 0x0f, 0xb9, 0xcc /* ud1 */
  .size __SCT__\name, . - __SCT__\name
.endm
#elif defined(__aarch64__)
.macro TRAMPOLINE name
  .balign 16
  .globl __SCT__\name
  .type __SCT__\name, %function
__SCT__\name:
  hint #34 /* bti c */
  adrp x16, __SCK__\name
  ldr x16, [x16, :lo12:__SCK__\name]
  br x16
  .size __SCT__\name, . - __SCT__\name
.endm
#endif

  .section .static_call.text, "ax"
  TRAMPOLINE add
  TRAMPOLINE take
  TRAMPOLINE report
  TRAMPOLINE grow
  TRAMPOLINE scale
  TRAMPOLINE fold
  TRAMPOLINE tick
  TRAMPOLINE hook
  TRAMPOLINE swap
  TRAMPOLINE many

  .section .note.GNU-stack, "", %progbits
