// The trampoline's address as a value: in the program's data (D) or computed with in code (C). Neither is a call. Tables that
// only describe the code are no data of the program.
  .text
  .globl compute
  .type compute, %function
compute:
  adrp x8, __SCT__a
  ldr x9, [x8, :lo12:__SCT__a]            // C: the trampoline's own bytes are read
  ret
  .size compute, . - compute

  .data
  .quad 0
  .quad __SCT__a                          // D
  .section .data.rel.ro,"aw",%progbits
  .quad __SCT__b                          // D
  .section .rodata,"a",%progbits
  .quad __SCT__a                          // D
  .quad __SCT__a + 8                      // beside the trampoline: not listed

  .section .static_call_tramp_key,"a",%progbits
  .long __SCT__a - .                      // a table of the kernel: not listed
  .section .debug_info,"",%progbits
  .quad __SCT__a                          // not listed
