// Direct branches. A branch with a 32-bit displacement is a site, and its opcode is where the site begins: a prefix that does
// nothing stays outside. A branch with the prefix 66 is none. What only looks like a branch is a use of the address.
  .text
  .globl branches
  .type branches, @function
branches:
  call __SCT__a                 // X1 call
  jne __SCT__a                  // X3 cond-tail
  jmp __SCT__b                  // X2 tail
  .size branches, . - branches

  // Older assemblers give branches the relocation of any other PC-relative operand.
  .globl unvouched
  .type unvouched, @function
unvouched:
  .byte 0xe8                    // X1 call
  .reloc ., R_X86_64_PC32, __SCT__a - 4
  .long 0
  .byte 0x0f, 0x84              // X3 cond-tail
  .reloc ., R_X86_64_PC32, __SCT__a - 4
  .long 0
  .byte 0xe9                    // X2 tail
  .reloc ., R_X86_64_PC32, __SCT__b - 4
  .long 0
  .size unvouched, . - unvouched

  .globl prefixed
  .type prefixed, @function
prefixed:
  .byte 0x2e                    // cs: X1 at +1
  call __SCT__a
  .byte 0xf2                    // bnd: X1 at +7
  call __SCT__a
  .byte 0x48                    // REX.W: X1 at +d
  call __SCT__a
  .byte 0x67                    // addr32: X1 at +13
  call __SCT__a
  .byte 0x3e                    // the hint "taken": X3 at +19
  je __SCT__a
  .byte 0x66                    // E at +1f
  call __SCT__a
  .byte 0x66, 0x2e              // E at +25
  call __SCT__a
  .byte 0x66                    // E at +2c
  je __SCT__a
  mov $0x66000000, %eax         // ends in 66, which is no prefix of the branch behind it: X1 at +38
  call __SCT__a
  .byte 0x66                    // E at +3d
  jmp __SCT__b
  .size prefixed, . - prefixed

  .globl lookalikes
  .type lookalikes, @function
lookalikes:
  .byte 0x81, 0xe8              // sub $imm32,%eax: C
  .reloc ., R_X86_64_PC32, __SCT__a - 4
  .long 0
  .byte 0x69, 0xe8              // imul $imm32,%eax,%ebp: C
  .reloc ., R_X86_64_PC32, __SCT__a - 4
  .long 0
  .byte 0xc7, 0x44, 0x0f, 0x84  // movl $imm32,-0x7c(%rdi,%rcx): C
  .reloc ., R_X86_64_PC32, __SCT__a - 4
  .long 0
  call __SCT__a + 4             // beside the trampoline: not listed
  call other                    // another function: not listed
  ret
  .size lookalikes, . - lookalikes
