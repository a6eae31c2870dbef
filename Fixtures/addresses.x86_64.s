// The trampoline's address as a value: in the program's data (D) or compared in code (C). Neither is a call. Tables that only
// describe the code are no data of the program.
  .text
  .globl compare
  .type compare, @function
compare:
  cmp __SCT__a@GOTPCREL(%rip), %rdi       // C
  cmp $__SCT__a, %rdi                     // C
  movq $__SCT__a, 8(%rdi)                 // C: stored
  ret
  .size compare, . - compare

  .data
  .quad 0
  .quad __SCT__a                          // D
  .section .data.rel.ro,"aw",@progbits
  .quad __SCT__b                          // D
  .section .rodata,"a",@progbits
  .quad __SCT__a                          // D
  .quad __SCT__a + 8                      // beside the trampoline: not listed

  .section .static_call_tramp_key,"a",@progbits
  .long __SCT__a - .                      // a table of the kernel: not listed
  .section .debug_info,"",@progbits
  .quad __SCT__a                          // not listed
